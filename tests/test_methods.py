"""Every method that `--method` knows takes a step with real students, and a method of one's own is one line."""

import dataclasses

import pytest
import torch

from collab_seg.config import DistillConfig
from collab_seg.losses.methods import METHODS, add_method, method_losses
from collab_seg.presets import PRESETS
from collab_seg.students.build import build_students
from collab_seg.training.step import Pair, total_loss

WITH_LABELS = [name for name, m in METHODS.items() if not m.unlabelled]  # others: test_unlabelled


def take_a_step(name):
    """A finite total, and a finite gradient for every parameter of both students and the losses."""
    config = dataclasses.replace(PRESETS["toy"], distill=DistillConfig(method=name))
    cnn, vit = build_students(config.students, 10, seed=0)
    torch.manual_seed(0)
    photos, truths = torch.randn(2, 3, 64, 64), torch.randint(0, 10, (2, 64, 64))
    pair = Pair(cnn, vit, method_losses(config, cnn, vit))
    terms, _ = pair(photos, truths)
    total = total_loss(terms, config, step=299)
    total.backward()
    grads = [p.grad for p in pair.parameters()]
    assert total.isfinite() and all(g is not None and g.isfinite().all() for g in grads)
    return terms


@pytest.mark.parametrize("name", WITH_LABELS)
def test_every_method_takes_a_step(name):
    assert len(take_a_step(name)) == 2 + 2 * len(METHODS[name].terms)


def test_the_methods_are_those_of_the_course():
    assert len(WITH_LABELS) == 27


def test_a_method_of_ones_own_is_one_line():
    add_method("dml_at", ("dml", "at"), "other", "predictions and features", "everywhere", "a test")
    try:
        assert set(take_a_step("dml_at")) >= {"dml_to_cnn", "at_to_vit"}
    finally:
        METHODS.pop("dml_at")
