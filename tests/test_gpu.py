"""On a GPU: the numbers of a CPU, half precision, shared batch norms, full memory, what was trained there used elsewhere.

CI has no GPU, so this file is run by hand: pytest tests/test_gpu.py; the rest of the suite trains on a GPU with COLLAB_SEG_TEST_DEVICE=auto.
"""

import copy
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import tiny_config
from safetensors.torch import load_file

from collab_seg.config import OptimConfig
from collab_seg.core import UserError
from collab_seg.losses.methods import METHODS, method_losses
from collab_seg.students.build import build_students
from collab_seg.training.device import make_accelerator
from collab_seg.training.evaluate import evaluate, score_run, windowed
from collab_seg.training.loop import train
from collab_seg.training.optim import make_optimizer
from collab_seg.training.step import Pair, train_step
from collab_seg.training.stopping import Stopped
from collab_seg.use.cli import main

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU (CUDA)")
TINY = ["--preset", "toy", "--size", "48", "64", "--crop", "48", "64", "--no-progress"]
ONE_GPU = Path(__file__).parent / "helpers" / "one_gpu.py"


def on_gpu(method="collab", steps=3, **optim):
    """Settings of a small run on the GPU."""
    config = tiny_config(method, steps=steps)
    return dataclasses.replace(
        config, optim=dataclasses.replace(config.optim, device="auto", **optim)
    )


@pytest.fixture
def exact(monkeypatch):
    """Products in full float32."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


# The same numbers


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_the_terms_and_gradients_of_a_cpu(method, exact):
    config = on_gpu(method)
    cnn, vit = build_students(config.students, 10, 0)
    here = Pair(
        cnn, vit, method_losses(config, cnn, vit)
    ).eval()  # no dropout, and norms that do not amplify rounding
    there = copy.deepcopy(here).cuda()
    images, target = torch.randn(2, 3, 48, 64), torch.randint(10, (2, 48, 64))
    target[0, :8] = 255
    (terms, shares), (terms_there, shares_there) = (
        here(images, target),
        there(images.cuda(), target.cuda()),
    )
    assert all(value.is_cuda for value in {**terms_there, **shares_there}.values())
    if "random" in method:
        pytest.skip("its terms can be computed; a GPU draws other random numbers")
    for name, value in {**terms, **shares}.items():
        assert float({**terms_there, **shares_there}[name]) == pytest.approx(
            float(value), rel=2e-3, abs=2e-5
        ), name
    sum(terms.values()).backward()
    sum(terms_there.values()).backward()
    for (name, p), q in zip(here.named_parameters(), there.parameters()):
        if p.grad is not None:
            assert (p.grad - q.grad.cpu()).norm() <= 5e-2 * p.grad.norm() + 1e-5, (
                name
            )  # a pixel on the fence may change its teacher


def test_a_run_of_a_gpu_is_scored_alike_on_a_cpu_and_lists_the_gpu(tmp_path, exact):
    run = train(on_gpu(steps=60, batch_size=8), tmp_path / "run", progress=False)
    around = json.loads((run / "environment.json").read_text())
    assert around["device"].startswith("cuda") and around["gpu"] == torch.cuda.get_device_name()
    summary = json.loads((run / "summary.json").read_text())
    assert 0 < summary["peak_mb"] == torch.cuda.max_memory_allocated() // 2**20
    scores, _, students, scenes = score_run(run)
    assert next(students[0].parameters()).is_cuda
    again = evaluate(*(student.cpu() for student in students), scenes)
    for way, score in scores.items():
        assert abs(score.miou - again[way].miou) < 2e-3


def test_a_run_on_the_cpu_of_a_machine_with_a_gpu_tells_the_memory_of_the_cpu(tmp_path):
    config = tiny_config()
    run = train(
        dataclasses.replace(config, optim=dataclasses.replace(config.optim, device="cpu")),
        tmp_path / "run",
        progress=False,
    )
    assert (
        json.loads((run / "summary.json").read_text())["peak_mb"] > 200
    )  # Python with PyTorch alone takes as much


# Half precision


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
@pytest.mark.parametrize("method", ["alone", "collab"])
def test_each_precision_learns(method, precision, tmp_path):
    run = train(
        on_gpu(method, steps=120, batch_size=8, precision=precision),
        tmp_path / "run",
        progress=False,
    )
    rows = pd.read_csv(run / "metrics.csv")
    lost = rows["skipped"].sum()  # fp16 finds its scale in the first steps
    assert lost <= (10 if precision == "fp16" else 0) and all(map(math.isfinite, rows["total"]))
    for name in ("ce_cnn", "ce_vit"):
        assert rows[name].tail(10).mean() < 0.7 * rows[name].head(10).mean(), name
    assert all(
        value.dtype in (torch.float32, torch.int64)
        for value in load_file(run / "cnn.safetensors").values()
    )


def test_fp16_lowers_its_scale_where_gradients_are_infinite_and_keeps_the_weights():
    config = on_gpu(precision="fp16")
    accelerator = make_accelerator(config.optim)
    accelerator.scaler = torch.amp.GradScaler("cuda", init_scale=2.0**100)
    cnn, vit = build_students(config.students, 10, 0)
    pair = Pair(cnn, vit, method_losses(config, cnn, vit))
    pair, optimizer = accelerator.prepare(pair, make_optimizer(pair, config.optim))
    before = copy.deepcopy(pair.state_dict())
    images, target = torch.randn(2, 3, 48, 64).cuda(), torch.randint(10, (2, 48, 64)).cuda()
    row = train_step(pair.train(), optimizer, accelerator, images, target, config, 0)
    assert accelerator.scaler.get_scale() == 2.0**99 and row["skipped"] == 1
    assert all(torch.equal(before[name], p) for name, p in pair.named_parameters())


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_a_stopped_run_goes_on_with_its_moments_and_its_scale(precision, tmp_path):
    config = on_gpu(steps=24, batch_size=4, precision=precision)
    whole = train(config, tmp_path / "whole", progress=False)
    with pytest.raises(Stopped):
        train(config, tmp_path / "parts", progress=False, save_every=1, time_limit=1e-6)
    state = json.loads((tmp_path / "parts" / "state.json").read_text())
    assert state["step"] < 24 and (
        state["scaler"]["scale"] >= 1 if precision == "fp16" else state["scaler"] is None
    )
    parts = train(config, tmp_path / "parts", resume=True, progress=False)
    rows = [pd.read_csv(run / "metrics.csv") for run in (whole, parts)]
    assert len(rows[1]) == 24
    apart = (rows[0]["total"] - rows[1]["total"]).abs() / rows[0]["total"]
    assert apart.head(state["step"] + 2).max() < 0.02  # a GPU adds in another order each time


def test_accumulation_on_a_gpu_is_the_same_step(exact, tmp_path):
    """In parts of one image batch norm is another thing, so the parts have four each."""
    rows = []
    for parts in (1, 2):
        run = train(
            on_gpu(steps=2, batch_size=8, accumulate=parts), tmp_path / str(parts), progress=False
        )
        rows.append(pd.read_csv(run / "metrics.csv"))
    assert rows[0]["ce_cnn"][0] == pytest.approx(rows[1]["ce_cnn"][0], rel=0.1)
    assert rows[1]["skipped"].sum() == 0


# Several processes


def several(count, run, *flags):
    """Run `train` in so many processes on the GPUs that are there; its first one's log."""
    around = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable] + (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        if count > 1
        else []
    )
    done = subprocess.run(
        [
            *command,
            str(ONE_GPU),
            "train",
            *TINY,
            "--seed",
            "1",
            "--balance",
            "class",
            "--lr",
            "5e-5",
            *flags,
            "--out",
            str(run),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        env=around,
    )
    assert done.returncode == 0, done.stderr[:6000]
    assert done.stdout.count("mIoU") == 1
    assert json.loads((run / "environment.json").read_text())["device"] == "cuda:0" or count == 1
    return pd.read_csv(run / "metrics.csv")


def test_shared_batch_norms_make_several_processes_one(tmp_path):
    """Batch norm over 2 x 4 images is batch norm over 8; without sharing it is not, which shows
    that this test can fail."""
    flags = ["--steps", "12", "--batch-size", "8"]
    one = several(1, tmp_path / "one", *flags, "--sync-batchnorm")
    two = several(2, tmp_path / "two", *flags, "--sync-batchnorm")
    apart = several(2, tmp_path / "apart", *flags, "--no-sync-batchnorm")
    terms = [
        name for name in one if name.startswith("ce_") or "_to_" in name and "share" not in name
    ]
    assert len(terms) == 8
    for name in terms:
        assert two[name][0] == pytest.approx(one[name][0], rel=1e-3, abs=1e-5), name
        assert (two[name] - one[name]).abs().max() < 0.05 * one[name].abs().max(), (
            name
        )  # a pixel on the fence may change its teacher
    assert abs(apart["ce_cnn"][0] - one["ce_cnn"][0]) > 10 * abs(
        two["ce_cnn"][0] - one["ce_cnn"][0]
    )
    weights = [load_file(tmp_path / name / "cnn.safetensors") for name in ("one", "two")]
    for name in (name for name in weights[0] if "running" in name):
        assert torch.allclose(weights[0][name], weights[1][name], rtol=1e-2, atol=1e-3), name


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_eight_processes_in_half_precision(precision, tmp_path):
    rows = several(
        8,
        tmp_path / "eight",
        "--steps",
        "3",
        "--batch-size",
        "16",
        "--sync-batchnorm",
        "--precision",
        precision,
    )
    assert len(rows) == 3 and rows["skipped"].sum() == 0 and all(map(math.isfinite, rows["total"]))


def test_more_processes_than_gpus_are_one_mistake(tmp_path):
    count = torch.cuda.device_count() + 1
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "collab_seg",
            "train",
            *TINY,
            "--num-processes",
            str(count),
            "--batch-size",
            str(count),
            "--out",
            str(tmp_path / "run"),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (
        done.returncode == 2
        and "a GPU for each process" in done.stderr
        and "Traceback" not in done.stderr
    ), done.stderr
    assert not (tmp_path / "run").exists()


# Memory


@pytest.fixture
def little_memory():
    """A GPU of which this process may take 64 MB more than it has."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**26) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


def test_a_step_that_does_not_fit_is_one_mistake_and_leaves_nothing(
    little_memory, tmp_path, capsys
):
    flags = [
        "train",
        "--preset",
        "toy",
        "--no-progress",
        "--batch-size",
        "64",
        "--steps",
        "2",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(flags) == 2
    said = capsys.readouterr().err
    assert (
        "memory is full for a step" in said and "--accumulate 2" in said and said.count("\n") == 1
    ), said
    assert not (tmp_path / "run").exists()


def test_an_image_that_does_not_fit_wants_windows(little_memory):
    cnn, _ = build_students(tiny_config().students, 10, 0)
    cnn, images = cnn.eval().cuda(), torch.zeros(1, 3, 1024, 2048, device="cuda")
    with pytest.raises(
        UserError, match=r"memory is full for windows of 1024x2048.*--window 512 512"
    ):
        windowed(cnn, images, (1024, 2048))
    assert windowed(cnn, images[..., :64, :64], (64, 64), (32, 32)).shape == (1, 10, 64, 64)


# From end to end


def test_train_eval_predict_and_export_on_a_gpu(tmp_path, capsys):
    from PIL import Image

    run, photo = str(tmp_path / "run"), tmp_path / "photo.png"
    Image.new("RGB", (80, 60), (90, 120, 150)).save(photo)
    assert (
        main(
            [
                "train",
                *TINY,
                "--steps",
                "4",
                "--batch-size",
                "2",
                "--ema",
                "0.5",
                "--workers",
                "2",
                "--out",
                run,
            ]
        )
        == 0
    )
    assert main(["eval", run, "--window", "32", "32"]) == 0
    assert main(["predict", run, str(photo), "--out", str(tmp_path / "masks")]) == 0
    assert main(["export", run, "--format", "torch", "--student", "cnn"]) == 0
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    assert main(["export", run, "--format", "onnx", "--student", "vit"]) == 0
    assert "mIoU" in capsys.readouterr().out


def test_pinned_memory_and_workers_give_the_batches_of_none(tmp_path):
    rows = []
    for workers in (0, 2):
        config = on_gpu(steps=3)
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, workers=workers))
        rows.append(
            pd.read_csv(train(config, tmp_path / str(workers), progress=False) / "metrics.csv")
        )
    assert rows[0]["total"][0] == pytest.approx(rows[1]["total"][0], rel=1e-3)


def test_settings_of_a_gpu_are_taken():
    assert OptimConfig().device == "auto" and make_accelerator(OptimConfig()).device.type == "cuda"
