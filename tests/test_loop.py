"""The ten lines of chapter 7 and the real `train_step` end with the same weights."""

import dataclasses
import gzip
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import tiny_config

from collab_seg.core import derive_seed, resize_label
from collab_seg.students.build import build_students
from collab_seg.training.device import compiled, make_accelerator
from collab_seg.training.loop import train
from collab_seg.training.optim import learning_rate, make_optimizer
from collab_seg.training.run import Run
from collab_seg.training.step import low_cka, make_pair, total_loss, train_step, what_losses_give
from collab_seg.training.stopping import Stopped
from collab_seg.use import cli


def chapter_step(pair, optimizer, images, target, config, step):
    """As the chapter writes it."""
    torch.manual_seed(derive_seed(config.optim.seed, "step", step))
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, config.optim) * group.get("factor", 1.0)
    terms, _ = pair(images, target)
    total = total_loss(terms, config, step)
    optimizer.zero_grad()
    total.backward()
    for part in pair.children():
        torch.nn.utils.clip_grad_norm_(list(part.parameters()), config.optim.clip_norm)
    optimizer.step()


def after_three_steps(do, config):
    torch.manual_seed(0)
    batches = [(torch.randn(2, 3, 48, 64), torch.randint(0, 10, (2, 48, 64))) for _ in range(3)]
    pair = make_pair(config, *build_students(config.students, 10, seed=0))
    optimizer = make_optimizer(pair, config.optim)
    for step, batch in enumerate(batches):
        do(pair, optimizer, *batch, config, step)
    return torch.cat([p.detach().flatten() for p in pair.parameters()])


def test_the_chapters_step_is_the_real_one():
    accelerator = make_accelerator(tiny_config().optim)

    def real(pair, optimizer, images, target, config, step):
        train_step(pair, optimizer, accelerator, images, target, config, step)

    if accelerator.device.type != "cpu":
        return
    for method in ("alone", "collab"):
        config = tiny_config(method)
        ours, theirs = (after_three_steps(do, config) for do in (chapter_step, real))
        assert torch.allclose(ours, theirs, atol=1e-6)
        assert not torch.allclose(ours, after_three_steps(lambda *_: None, config), atol=1e-4)


def test_shares_are_those_of_the_teachers_who_teach():
    """Teachers that know every pixel teach both students everywhere; the students' own masks say less."""
    config = tiny_config("pixel")
    pair = make_pair(config, *build_students(config.students, 10, seed=0))
    images, target = torch.randn(2, 3, 48, 64), torch.randint(0, 10, (2, 48, 64))
    cnn, vit = pair.cnn(images), pair.vit(images)
    label = resize_label(target, cnn.logits.shape[-2:])
    known = torch.nn.functional.one_hot(label, 10).permute(0, 3, 1, 2) * 30.0
    taught_by = [output._replace(logits=known) for output in (cnn, vit)]
    found = what_losses_give(pair.losses, cnn, vit, target, taught_by)["pixel"]
    assert all(torch.equal(found.maps[way], found.maps["valid"]) for way in ("to_cnn", "to_vit"))
    own = what_losses_give(pair.losses, cnn, vit, target)["pixel"]
    assert not (own.maps["to_cnn"] & own.maps["to_vit"]).any() and found.to_cnn > own.to_cnn


def test_steps_that_fp16_leaves_out_are_counted():
    """The scaler sees a gradient that is not finite and takes no step; the row says so."""
    config = tiny_config("alone", steps=10)
    accelerator = make_accelerator(config.optim)
    accelerator.scaler = torch.amp.GradScaler(accelerator.device.type, init_scale=4.0)
    pair = make_pair(config, *build_students(config.students, 10, seed=0))
    pair, optimizer = accelerator.prepare(pair, make_optimizer(pair, config.optim))
    batch = torch.randn(2, 3, 48, 64), torch.randint(0, 10, (2, 48, 64))
    batch = [x.to(accelerator.device) for x in batch]
    weight, before = pair.cnn.head.weight, pair.cnn.head.weight.clone()
    spoilt = weight.register_hook(lambda grad: grad * float("nan"))
    rows = [train_step(pair, optimizer, accelerator, *batch, config, step) for step in range(3)]
    assert [row["skipped"] for row in rows] == [1, 1, 1] and torch.equal(weight, before)
    spoilt.remove()
    assert train_step(pair, optimizer, accelerator, *batch, config, 3)["skipped"] == 0
    assert not torch.equal(weight, before)


def translated_terms():
    "How far the terms of translated networks are from the others', after a step and after three."
    torch.compile = partial(torch.compile, backend="aot_eager")  # needs no C++
    config, rows = tiny_config("collab"), []
    config = dataclasses.replace(config, optim=dataclasses.replace(config.optim, compile=True))
    accelerator = make_accelerator(config.optim)

    def step(pair, optimizer, images, target, config, number):
        rows.append(train_step(pair, optimizer, accelerator, images, target, config, number))

    def translated_step(pair, *rest):
        done = pair.cnn._compiled_call_impl is not None
        step(pair if done else compiled(pair, config.optim, on_gpu=True), *rest)
        assert pair.cnn._compiled_call_impl is not None

    for do in (translated_step, step):
        after_three_steps(do, config)
    first, plain = rows[0], rows[3]
    assert first.keys() == plain.keys()
    differ = [abs(first[name] - plain[name]) for name in plain if "share" not in name]
    return max(differ), abs(rows[2]["total"] - rows[5]["total"])


def test_translated_networks_give_the_same_terms():
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, (here, here / "helpers", here.parent)))
    code = "import test_loop; print(*test_loop.translated_terms())"
    done = subprocess.run(  # of its own: what it leaves behind in a process is not ours to know
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, third = map(float, done.stdout.split()[-2:])
    assert first < 1e-4 and third < 1e-2  # AdamW enlarges the last bits


SAME = ("metrics.csv", "cnn.safetensors", "vit.safetensors", "config.json", "data.json")


def parts_of(run):
    return set(pd.read_csv(Run(run).profile_file)["part"])


def test_a_profile_changes_no_byte_and_names_the_dearest_parts(tmp_path, capsys):
    config = tiny_config(steps=10)
    plain = train(config, tmp_path / "plain", progress=False)
    seen = train(config, tmp_path / "seen", progress=False, profile=True)
    for name in SAME:
        assert (plain / name).read_bytes() == (seen / name).read_bytes(), name
    said = capsys.readouterr().out
    assert "where the time of 5 steps went" in said and str(Run(seen).trace_file) in said
    losses = {"ce_cnn", "ce_vit", "hfd", "region", "pixel"}
    assert {"cnn", "vit", "backward", "clip", "optimizer", "data", "the rest"} | losses <= parts_of(
        seen
    )
    table = pd.read_csv(Run(seen).profile_file)
    assert abs(table["share"].sum() - 1) < 0.02 and table["ms_a_step"].is_monotonic_decreasing
    assert (table.set_index("part")["calls_a_step"].loc[["cnn", "vit", "backward"]] == 1).all()
    trace = json.loads(gzip.decompress(Run(seen).trace_file.read_bytes()))
    assert "part: backward" in {event.get("name") for event in trace["traceEvents"]}
    assert not Run(plain).profile_file.exists() and not Run(plain).trace_file.exists()


def test_a_run_that_goes_on_is_profiled_in_its_first_steps(tmp_path, capsys):
    config = tiny_config(steps=5)
    whole = train(config, tmp_path / "whole", progress=False)
    with pytest.raises(Stopped):
        train(config, tmp_path / "run", progress=False, time_limit=1e-9)
    command = ["train", "--resume", str(tmp_path / "run"), "--profile", "--no-progress"]
    assert cli.main(command) == 0
    assert "where the time of 1 step went" in capsys.readouterr().out  # three of four are warm-up
    assert "backward" in parts_of(tmp_path / "run")
    for name in SAME[:3]:
        assert (whole / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name


def test_how_alike_low_maps_are_does_not_overflow_in_half_precision():
    maps = [10 * torch.rand(2, 16, 40, 40) for _ in range(2)]
    with torch.autocast("cpu", torch.float16):
        half = low_cka(*maps)
    assert abs(half - low_cka(*maps)) < 1e-6 and 0 < half < 1
