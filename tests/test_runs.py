"""Runs: the same seed gives the same bytes; methods of a seed share students and batches; CamVid."""

import csv
import dataclasses
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from conftest import DEVICE, in_one_and_two_pieces, tiny_config

from collab_seg.config import DataConfig, config_from_json, config_to_json
from collab_seg.core import UserError
from collab_seg.data.scenes import Scenes
from collab_seg.data.sources import get_source
from collab_seg.losses.methods import METHODS, method_losses
from collab_seg.presets import PRESETS
from collab_seg.students.build import build_students
from collab_seg.training.data import make_batches
from collab_seg.training.evaluate import evaluate
from collab_seg.training.loop import train
from collab_seg.training.run import load_students
from collab_seg.training.step import Pair, task_loss
from collab_seg.training.weighting import class_weights

DETERMINISTIC = ("metrics.csv", "cnn.safetensors", "vit.safetensors", "config.json")


def test_the_same_seed_gives_the_same_bytes(tiny_run, tmp_path):
    again = train(tiny_config(), tmp_path / "again", progress=False)
    for name in DETERMINISTIC:
        assert (again / name).read_bytes() == (tiny_run / name).read_bytes(), name


def test_data_workers_change_nothing(tiny_run, tmp_path):
    again = train(tiny_config(workers=2), tmp_path / "workers", progress=False)
    for name in DETERMINISTIC[:3]:
        assert (again / name).read_bytes() == (tiny_run / name).read_bytes(), name


def test_another_seed_gives_another_run(tiny_run, tmp_path):
    other = train(tiny_config(seed=1), tmp_path / "other", progress=False)
    assert (other / "metrics.csv").read_bytes() != (tiny_run / "metrics.csv").read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_a_seed_start_from_the_same_students_and_batches(method):
    pairs = []
    for name in ("alone", method):
        config = tiny_config(name)
        cnn, vit = build_students(config.students, 10, config.optim.seed)
        method_losses(config, cnn, vit)
        images, target = next(iter(make_batches(config, get_source("toyscapes"), start=0)))
        pairs.append([*cnn.state_dict().values(), *vit.state_dict().values(), images, target])
    assert all(torch.equal(a, b) for a, b in zip(*pairs))


def test_at_the_first_step_alone_and_collab_have_the_same_task_loss(tiny_run, tmp_path):
    alone = train(tiny_config("alone"), tmp_path / "alone", progress=False)
    first = [next(csv.DictReader(open(run / "metrics.csv"))) for run in (tiny_run, alone)]
    assert all(first[0][name] == first[1][name] for name in ("ce_cnn", "ce_vit", "lr"))
    assert set(first[1]) == {"step", "lr", "skipped", "total", "ce_cnn", "ce_vit", "cka_low"}


def test_every_parameter_of_every_method_gets_a_gradient_even_from_a_void_batch():
    for method in METHODS:
        config = tiny_config(method)
        cnn, vit = build_students(config.students, 10, 0)
        pair = Pair(cnn, vit, method_losses(config, cnn, vit)).train()
        terms, _ = pair(torch.randn(2, 3, 48, 64), torch.full((2, 48, 64), 255))
        sum(terms.values()).backward()
        assert all(value == 0 for value in terms.values())
        without = [
            name
            for name, p in pair.named_parameters()
            if p.grad is None or not p.grad.isfinite().all()
        ]
        assert not without, (method, without[:3])


def test_a_saved_student_needs_no_training_code_and_predicts_any_size(tiny_run):
    cnn, vit, config = load_students(tiny_run, 10)
    for student in (cnn, vit):
        assert not any("loss" in key or "from_" in key for key in student.state_dict())
        assert student.predict(torch.randn(1, 3, 61, 83)).shape == (1, 61, 83)
    assert config == config_from_json(config_to_json(config))


def test_a_batch_of_one_trains(tmp_path):
    config = tiny_config()
    train(
        dataclasses.replace(config, optim=dataclasses.replace(config.optim, batch_size=1, steps=1)),
        tmp_path / "one",
        progress=False,
    )


@pytest.mark.parametrize("precision", ["bf16"])
def test_mixed_precision_trains(tmp_path, precision):
    config = tiny_config()
    config = dataclasses.replace(
        config, optim=dataclasses.replace(config.optim, precision=precision)
    )
    with (
        nullcontext()
        if DEVICE == "auto" and torch.cuda.is_available()
        else pytest.warns(UserWarning, match="bf16 on a CPU.*--precision no")
    ):
        run = train(config, tmp_path / "half", progress=False)
    assert (run / "cnn.safetensors").exists()


def test_camvid_has_the_counts_and_classes_that_data_readme_states(camvid):
    from collab_seg.data.check import check_split, file_list_sha
    from collab_seg.data.scenes import Scenes

    source = get_source("camvid")
    for split, count in (("train", 367), ("val", 101)):
        scenes = Scenes(source, split, camvid, cache=False)
        assert len(scenes) == count and check_split(source, camvid, split)[1] == []
        assert (
            file_list_sha(check_split(source, camvid, split)[0])
            in (Path(__file__).parent.parent / "data" / "README.md").read_text()
        )
    image, label = scenes[0]
    assert image.shape == (3, 360, 480) and set(label.unique().tolist()) <= {*range(11), 255}


def test_a_run_on_camvid_is_scored_at_the_labels_own_size(camvid, tmp_path):
    from collab_seg.data.scenes import Scenes

    preset = PRESETS["pocket"]
    config = dataclasses.replace(
        preset,
        data=dataclasses.replace(preset.data, root=str(camvid)),
        optim=dataclasses.replace(preset.optim, steps=2, batch_size=2, device=DEVICE),
    )
    run = train(config, tmp_path / "pocket", progress=False)
    cnn, vit, _ = load_students(run, 11)
    scenes = Scenes(get_source("camvid"), "val", camvid, config.data.size, keep_label_size=True)
    scenes.rows = scenes.rows.select(range(3))
    scores = evaluate(cnn, vit, scenes)
    assert scenes[0][1].shape == (360, 480) and all(
        0 <= score.miou <= 1 for score in scores.values()
    )


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_term(tmp_path):
    config = tiny_config(steps=30)
    config = dataclasses.replace(
        config, optim=dataclasses.replace(config.optim, lr=1e20, warmup=0.0, weight_decay=0.0)
    )
    with pytest.raises(UserError, match="ce_cnn|ce_vit"):
        train(config, tmp_path / "nan", progress=False)


def test_toyscapes_is_drawn_fast_enough():
    """100 scenes of 240x180 a second on one free core; processor time, best of some, and room for a shared core."""
    import time

    from collab_seg.data.toyscapes import render

    render(0)
    best = float("inf")
    for start in range(0, 200, 20):
        began = time.process_time()
        for index in range(start, start + 20):
            render(index)
        best = min(best, (time.process_time() - began) / 20)
    assert best < 0.015, f"{1 / best:.0f} scenes a second"


@pytest.mark.parametrize(
    "change", [{"ema": 0.5}, {"class_balance": 0.5}], ids=["running mean", "class weights"]
)
def test_what_a_run_keeps_beside_its_weights_survives_a_stop(change, tmp_path):
    """The mean is kept in the checkpoint, the classes are counted again: a run in two pieces ends with the same students."""
    config = tiny_config(steps=4)
    config = dataclasses.replace(config, optim=dataclasses.replace(config.optim, **change))
    whole, pieces = in_one_and_two_pieces(config, tmp_path, save_every=2)
    for name in ("cnn.safetensors", "vit.safetensors", "metrics.csv"):
        assert (whole / name).read_bytes() == (pieces / name).read_bytes(), name
    plain = train(tiny_config(steps=4), tmp_path / "plain", progress=False)
    assert (plain / "cnn.safetensors").read_bytes() != (whole / "cnn.safetensors").read_bytes()


def test_rare_classes_weigh_more_and_a_class_that_is_nowhere_nothing():
    toy = get_source("toyscapes")
    toy = dataclasses.replace(
        toy, classes=(*toy.classes, "nobody"), palette=(*toy.palette, (1, 2, 3))
    )
    weights = {
        power: class_weights(toy, DataConfig(split="train/40"), power) for power in (0.5, 1.0)
    }
    labels = torch.stack([label for _, label in Scenes(toy, "train/40")])
    counts = labels.flatten().bincount(minlength=256)[: len(toy.classes)].double()
    for power, weight in weights.items():
        assert weight[-1] == 0 and weight.isfinite().all()
        total = weight * counts  # with 1, each class counts the same in all
        shown = total[:-1] / counts[:-1] ** (1 - power)
        assert torch.allclose(shown, shown[:1].expand_as(shown), rtol=1e-4)
        assert torch.isclose(total.sum(), counts.sum(), rtol=1e-4)  # the mean over pixels stays 1
    pair = Pair(*build_students(tiny_config().students, len(toy.classes), 0), weights=weights[0.5])
    assert not any("weights" == name for name in pair.state_dict())  # counted again, not kept
    logits = torch.randn(1, len(toy.classes), 4, 4, requires_grad=True)
    loss = task_loss(logits, torch.full((1, 8, 8), len(toy.classes) - 1), weights[0.5])
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()  # only pixels that count nothing
