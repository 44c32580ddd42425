"""The benchmarks' settings: two optimisers in one run, batch norm of several GPUs, the presets on trees of the true layout."""

import csv
import dataclasses
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from commands import run_command
from conftest import tiny_config
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file, save
from torch import nn

from collab_seg.config import (
    OptimConfig,
    StudentConfig,
    config_from_json,
    config_sha,
    config_to_json,
)
from collab_seg.core import UserError
from collab_seg.presets import PAIRS, PRESETS
from collab_seg.students.build import build_students
from collab_seg.studies.plan import read_study
from collab_seg.studies.workers import gpu_of
from collab_seg.training.device import make_accelerator, room_for, synchronized
from collab_seg.training.evaluate import windowed
from collab_seg.training.loop import train
from collab_seg.training.optim import make_optimizer
from collab_seg.training.run import run_config
from collab_seg.training.step import Pair, train_step
from collab_seg.training.stopping import Stopped
from collab_seg.use.cli import main

ROOT = Path(__file__).parent.parent
STUDIES = ROOT / "studies"
BENCHMARKS = ("camvid", "voc", "cityscapes")
SAME = ("metrics.csv", "cnn.safetensors", "vit.safetensors")
MIXED = {"cnn_optimizer": "sgd", "cnn_lr": 0.02, "cnn_weight_decay": 1e-4, "schedule": "poly"}


def mixed_config(steps=6, **more):
    config = tiny_config(steps=steps)
    return dataclasses.replace(config, optim=dataclasses.replace(config.optim, **MIXED, **more))


# Two optimisers


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_run_with_two_optimisers_goes_on_to_the_last_bit(ema, tmp_path):
    config = mixed_config(ema=ema)
    whole, run = train(config, tmp_path / "whole", progress=False), tmp_path / "run"
    for _ in range(3):  # it stops after each step
        with pytest.raises(Stopped):
            train(
                config, run, resume=(run / "config.json").exists(), progress=False, time_limit=1e-9
            )
    keys = load_file(next(run.glob("state-*.safetensors")))
    assert any(key.endswith("momentum_buffer") for key in keys) and any(
        key.endswith("exp_avg_sq") for key in keys
    )
    train(config, run, resume=True, progress=False)
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    other = train(tiny_config(steps=6), tmp_path / "other", progress=False)
    assert (other / "cnn.safetensors").read_bytes() != (whole / "cnn.safetensors").read_bytes()


@pytest.mark.parametrize("spoil", ["gone", "a moment of the other kind", "another shape"])
def test_a_spoiled_moment_of_sgd_is_one_line(spoil, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(Stopped):
        train(mixed_config(), run, progress=False, time_limit=1e-9)
    path = next(run.glob("state-*.safetensors"))
    tensors = load_file(path)
    key = next(key for key in tensors if key.endswith("momentum_buffer"))
    value = tensors.pop(key)
    if spoil == "another shape":
        tensors[key] = torch.zeros(3)
    if spoil == "a moment of the other kind":
        tensors[key.replace("momentum_buffer", "exp_avg")] = value
    path.write_bytes(save(tensors))
    with pytest.raises(UserError, match="checkpoint"):
        train(mixed_config(), run, resume=True, progress=False)


def test_a_gradient_scaler_takes_both_optimisers_for_one():
    """fp16 needs a GPU, its scaler does not: an infinite gradient skips the step of both, a finite one is unscaled once."""

    def stepped(scale, infinite=False):
        torch.manual_seed(0)
        pair = Pair(nn.Linear(3, 3), nn.Linear(3, 3))
        optimizer = make_optimizer(pair, OptimConfig(**MIXED))
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=True)
        for _ in range(2):
            loss = (
                pair.cnn(torch.ones(2, 3)).square().sum()
                + pair.vit(torch.ones(2, 3)).square().sum()
            )
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            if infinite:
                pair.vit.weight.grad[0, 0] = torch.inf
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
        return torch.cat([p.detach().flatten() for p in pair.parameters()]), scaler.get_scale()

    assert torch.allclose(stepped(1.0)[0], stepped(1024.0)[0], atol=1e-6)
    torch.manual_seed(0)
    first = torch.cat(
        [p.detach().flatten() for p in Pair(nn.Linear(3, 3), nn.Linear(3, 3)).parameters()]
    )
    weights, scale = stepped(1024.0, infinite=True)
    assert torch.equal(weights, first) and scale == 256.0


def test_without_a_word_about_the_cnn_there_is_one_adamw_and_nothing_has_changed(tiny_run):
    """Runs that were made before these settings keep their name, their settings and their checkpoints."""
    text = json.loads((tiny_run / "config.json").read_text())
    for name in ("cnn_optimizer", "cnn_lr", "cnn_weight_decay", "sync_batchnorm"):
        text["optim"].pop(name)
    old = config_from_json(json.dumps(text))
    assert old == run_config(tiny_run) and config_sha(old) == config_sha(tiny_config())
    pair = Pair(*build_students(old.students, 10, 0))
    optimizer, named = make_optimizer(pair, old.optim), list(pair.parameters())
    assert type(optimizer) is torch.optim.AdamW
    assert [[id(p) for p in group["params"]] for group in optimizer.param_groups] == [
        [id(p) for p in named if p.ndim > 1],
        [id(p) for p in named if p.ndim <= 1],
    ]


# Batch norm of several GPUs


def test_synchronized_norms_have_the_same_weights_and_give_the_same_outputs():
    pair = Pair(*build_students(StudentConfig(cnn="tf_efficientnet_lite0"), 5, 0)).eval()
    before, images = dict(pair.state_dict()), torch.randn(1, 3, 64, 64)
    expected = pair.cnn(images).logits
    several = SimpleNamespace(num_processes=2, device=torch.device("cuda"))
    same = synchronized(pair, several, OptimConfig())
    assert same is pair and not any(
        isinstance(module, nn.SyncBatchNorm) for module in pair.modules()
    )
    pair = synchronized(pair, several, OptimConfig(sync_batchnorm=True))
    norms = [
        module for module in pair.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    assert norms and all(isinstance(module, nn.SyncBatchNorm) for module in norms)
    assert before.keys() == pair.state_dict().keys() and torch.equal(
        pair.cnn(images).logits, expected
    )
    one = SimpleNamespace(num_processes=1, device=torch.device("cpu"))
    fresh = Pair(*build_students(StudentConfig(), 5, 0))
    assert synchronized(fresh, one, OptimConfig(sync_batchnorm=True)) is fresh


def test_synchronized_norms_on_a_cpu_are_one_mistake(tmp_path):
    flags = "--preset toy --sync-batchnorm --num-processes 2 --device cpu --no-progress".split()
    done = run_command("train", *flags, "--out", tmp_path / "run")
    assert (
        done.returncode == 2
        and "needed: GPUs, or --no-sync-batchnorm" in done.stderr
        and "Traceback" not in done.stderr
    )
    assert not (tmp_path / "run").exists()


# Presets


@pytest.mark.parametrize("pair", PAIRS)
def test_the_pairs_can_be_built(pair):
    students = dataclasses.replace(
        PRESETS["voc"].students, **PAIRS[pair], cnn_weights="random", vit_weights="random"
    )
    cnn, vit = build_students(students, 21, 0)
    assert cnn.num_classes == 21 and vit.high_channels == students.head_width
    assert config_from_json(config_to_json(PRESETS["voc"])) == PRESETS["voc"]


def tree(preset, root):
    """A few pictures in the true layout; of the true size, where nothing is trained on them."""
    from benchmark_cost import make_tree

    return make_tree(preset, root)


@pytest.mark.parametrize("preset", BENCHMARKS)
def test_a_benchmark_is_four_methods_and_three_seeds_of_its_preset(preset):
    study = read_study(STUDIES / f"{preset}_benchmark.toml")
    assert {(run.label, run.seed) for run in study.runs} == {
        (method, seed) for method in ("alone", "dml", "kdcl_linear", "collab") for seed in (0, 1, 2)
    }
    for run in study.runs:
        distill, optim = PRESETS[preset].distill, PRESETS[preset].optim
        expected = dataclasses.replace(
            PRESETS[preset],
            distill=dataclasses.replace(distill, method=run.label),
            optim=dataclasses.replace(optim, seed=run.seed),
        )
        assert run.config == expected


@pytest.mark.parametrize("preset", BENCHMARKS)
def test_the_cost_in_a_study_is_that_of_the_table(preset):
    with open(ROOT / "results" / "bench" / "benchmark_cost.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["preset"] == preset]
    assert [(row["cnn"], row["vit"]) for row in rows] == [
        (pair["cnn"], pair["vit"]) for pair in PAIRS.values()
    ]
    collab = dataclasses.replace(
        PRESETS[preset], distill=dataclasses.replace(PRESETS[preset].distill, method="collab")
    )
    assert rows[0]["config_sha"] == config_sha(collab), (
        "the preset was changed: run tools/benchmark_cost.py again"
    )
    assert (
        rows[0]["steps_here"] == "3"
        and float(rows[0]["seconds_a_step"]) > 0
        and int(rows[0]["peak_mb"]) > 500
    )
    said = re.search(
        r"Cost: ([0-9.]+) GPU hours a run \(12 runs: ([0-9]+)\)",
        (STUDIES / f"{preset}_benchmark.toml").read_text(),
    )
    assert (
        said[1] == rows[0]["gpu_hours"]
        and abs(int(said[2]) - 12 * float(rows[0]["gpu_hours"])) <= 1
    )


@pytest.mark.parametrize("preset", BENCHMARKS)
def test_a_benchmark_says_what_it_will_cost_where_it_cannot_be_tried(
    preset, tmp_path, capsys, monkeypatch
):
    """No GPU, no hub: a plan with GPU hours, and the one line about the weights; nothing is written."""
    if torch.cuda.is_available():
        pytest.skip("with a GPU it is tried")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    file, root = STUDIES / f"{preset}_benchmark.toml", tree(preset, tmp_path / "data")
    arguments = ["study", str(file), "--root", str(root), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--dry-run"]) == 0
    said = capsys.readouterr().out
    hours = float(
        re.search(r"12 runs, 0 done, 12 to do: about ([0-9.]+) GPU hours .*measured steps", said)[1]
    )
    told = int(re.search(r"12 runs: ([0-9]+)", file.read_text())[1])
    assert (
        0.9 * told < hours <= told + 1
    )  # the table counts collab's losses; the other methods have fewer
    assert "could not start here: ImageNet weights of mobilenetv2_100 cannot be had" in said
    assert main(arguments) == 2 and "--cnn-weights random" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


SMALL = """[set]
students.cnn_weights = "random"
students.vit_weights = "random"
data.workers = 0
data.crop = [64, 96]
optim.steps = 3
optim.batch_size = 2
optim.precision = "no"
optim.device = "cpu"
[[runs]]"""


@pytest.mark.parametrize("preset", BENCHMARKS)
def test_three_steps_of_every_method_of_a_benchmark(preset, tmp_path, monkeypatch):
    """The real students, optimisers and schedule, on small crops of small pictures: full size would take minutes."""
    import benchmark_cost

    monkeypatch.setitem(benchmark_cost.SIZES, preset, (48, 96))
    text = (
        (STUDIES / f"{preset}_benchmark.toml")
        .read_text()
        .replace("[[runs]]", SMALL, 1)
        .replace("[0, 1, 2]", "[0]")
    )
    if preset == "cityscapes":
        text = text.replace("[set]\n", "[set]\ndata.size = [48, 96]\n")
    (tmp_path / "small.toml").write_text(text)
    root = tree(preset, tmp_path / "data")
    assert (
        main(
            [
                "study",
                str(tmp_path / "small.toml"),
                "--root",
                str(root),
                "--out",
                str(tmp_path / "out"),
                "--no-progress",
            ]
        )
        == 0
    )
    with open(tmp_path / "out" / f"{preset}_benchmark.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and {row["method"] for row in rows} == {
        "alone",
        "dml",
        "kdcl_linear",
        "collab",
    }
    run = tmp_path / "out" / "collab-s0"
    assert run_config(run).optim.cnn_optimizer == "sgd"
    if preset == "voc":  # read at its own size, and so predicted and saved for others
        from collab_seg.use.deploy import pretrained_student

        photo = next((tmp_path / "data").rglob("JPEGImages/*.jpg"))
        assert (
            main(["predict", str(run), str(photo), "--out", str(tmp_path / "p"), "--no-progress"])
            == 0
        )
        student = pretrained_student(run, "vit")
        assert student.short_side is None and student.segment(
            np.zeros((40, 70, 3), np.uint8)
        ).shape == (40, 70)
    if (
        preset == "cityscapes"
    ):  # what its server wants: 34 label ids at the photo's size, under the photo's name
        photo = next((tmp_path / "data").rglob("leftImg8bit/val/*/*.png"))
        sent = [
            "predict",
            str(run),
            str(photo),
            "--masks",
            "ids",
            "--window",
            "48",
            "64",
            "--out",
            str(tmp_path / "p"),
            "--no-progress",
        ]
        assert main(sent) == 0
        mask = Image.open(tmp_path / "p" / "average" / photo.name)
        assert mask.size == Image.open(photo).size and {*np.unique(mask)} <= {
            7,
            8,
            *range(11, 14),
            17,
            *range(19, 29),
            31,
            32,
            33,
        }


@pytest.mark.parametrize(
    "name, runs",
    [
        ("camvid_pocket", 124),
        ("camvid_unweighted", 22),
        ("camvid_few", 24),
        ("camvid_long", 12),
        ("camvid_capacity", 36),
        ("camvid_pretrained", 12),
        ("camvid_rates", 4),
        ("camvid_large", 6),
        ("camvid_gpu", 6),
    ],
)
def test_a_study_on_camvid_can_be_planned(name, runs, tmp_path, capsys):
    root = tree("camvid", tmp_path / "data")
    assert (
        main(
            [
                "study",
                str(STUDIES / f"{name}.toml"),
                "--root",
                str(root),
                "--out",
                str(tmp_path / "out"),
                "--dry-run",
            ]
        )
        == 0
    )
    assert (
        f"{runs} runs, 0 done, {runs} to do: about" in capsys.readouterr().out
        and not (tmp_path / "out").exists()
    )


def test_each_way_beyond_the_method_takes_steps_of_its_own(tmp_path):
    """Each way is a setting or a method, so its config.json tells all of it, and `reproduce` can repeat it."""
    from collab_seg.studies.reproduce import reproduce
    from collab_seg.training.loop import train

    root = tree("camvid", tmp_path / "data")
    study = read_study(STUDIES / "camvid_beyond.toml", root)
    weights = {}
    for run in study.runs:
        if run.seed == 0:
            optim = dataclasses.replace(run.config.optim, steps=4, device="cpu")
            config = dataclasses.replace(run.config, optim=optim)
            folder = train(config, tmp_path / "out" / run.folder, progress=False)
            weights[run.label] = (folder / "vit.safetensors").read_bytes()
    assert len(weights) == 16
    for label in ("collab", "alone_own_views", "alone_strong"):
        assert weights["alone"] != weights[label], label
    others = set(weights) - {"collab", "collab_peer_correct", "collab_late"}
    assert all(weights[label] != weights["collab"] for label in others)
    for label in ("collab_slow_peers", "collab_balanced_pull"):
        assert not reproduce(tmp_path / "out" / f"{label}-s0").differ, label


def test_the_capacity_study_has_all_nine_pairs_and_each_student_alone():
    study = read_study(STUDIES / "camvid_capacity.toml")
    pairs = {
        method: {
            (run.config.students.cnn, run.config.students.vit)
            for run in study.runs
            if run.config.distill.method == method
        }
        for method in ("alone", "collab")
    }
    assert len(pairs["collab"]) == 9 and len(pairs["alone"]) == 3
    for place in (0, 1):
        assert {pair[place] for pair in pairs["alone"]} == {pair[place] for pair in pairs["collab"]}


def test_a_student_alone_does_not_see_which_other_it_has(tmp_path):
    """So three runs of `alone` are the baselines of nine pairs."""
    runs = []
    for vit in ("mit_pico", "mit_b0"):
        config = tiny_config("alone", steps=2)
        config = dataclasses.replace(config, students=dataclasses.replace(config.students, vit=vit))
        runs.append(train(config, tmp_path / vit, progress=False))
    assert (runs[0] / "cnn.safetensors").read_bytes() == (runs[1] / "cnn.safetensors").read_bytes()


def test_the_cost_command_counts_and_takes_three_steps(capsys):
    assert main(["cost", "toy"]) == 0
    said = capsys.readouterr().out
    assert all(
        name in said
        for name in ("gflop_cnn", "pflop_run", "gpu_hours", "peak_mb", "measured steps")
    )
    assert re.search(r"steps_here +3\n", said)
    assert main(["cost", "tiny"]) == 2 and "'tiny'; known: demo, toy" in capsys.readouterr().err


# What a GPU may lack; tests/test_gpu.py has the real ones


FULL = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of which 1.25 GiB is free. "
    "Including non-PyTorch memory, this process has 6.52 GiB memory in use.\nSee the documentation"
)


def test_full_memory_is_one_line_with_ways_out(tmp_path, capsys, monkeypatch):
    flags = [
        "train",
        "--preset",
        "toy",
        "--size",
        "48",
        "64",
        "--crop",
        "48",
        "64",
        "--batch-size",
        "2",
        "--steps",
        "3",
        "--device",
        "cpu",
        "--no-progress",
        "--save-every",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    real = train_step

    def full_at(number, error):
        def step(*args):
            if args[6] == number:  # the step
                raise error
            return real(*args)

        return step

    monkeypatch.setattr(
        "collab_seg.training.loop.train_step", full_at(0, torch.OutOfMemoryError(FULL))
    )
    assert main(flags) == 2
    said = capsys.readouterr().err
    assert (
        "memory is full for a step (CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity"
        in said
    ), said
    assert "1.25 GiB is free)" in said and "--accumulate 2" in said and said.count("\n") == 1
    assert not (
        tmp_path / "run"
    ).exists()  # so that the same command can be given again, with a smaller batch
    monkeypatch.setattr(
        "collab_seg.training.loop.train_step",
        full_at(2, RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")),
    )
    assert main(flags) == 2 and "what was saved is whole" in capsys.readouterr().err
    monkeypatch.setattr("collab_seg.training.loop.train_step", real)
    assert main(["train", "--resume", str(tmp_path / "run"), "--no-progress"]) == 0
    with (
        pytest.raises(RuntimeError, match="sizes"),
        room_for("a step", "less"),
    ):  # another mistake stays what it is
        raise RuntimeError("sizes do not match")


def test_an_image_that_is_too_large_wants_windows():
    class Full:
        num_classes = 3

        def probabilities(self, images, size):
            raise torch.OutOfMemoryError(FULL)

        def __call__(self, images):
            raise torch.OutOfMemoryError(FULL)

    images = torch.zeros(1, 3, 64, 128)
    for window, found in ((None, "64x128"), ((32, 32), "32x32")):
        with pytest.raises(
            UserError,
            match=rf"memory is full for windows of {found} in an image of 64x128.*--window 512 512",
        ):
            windowed(Full(), images, (64, 128), window)


def test_more_processes_than_gpus_are_told_before_anything_is_done(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(
        UserError, match="2 processes for 1 GPU; needed: a GPU for each process, or --device cpu"
    ):
        make_accelerator(OptimConfig())
    assert make_accelerator(OptimConfig(device="cpu")).device.type == "cpu"


def test_workers_of_a_study_take_turns_with_the_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for count, expected in (
        (0, [{}, {}]),
        (1, [{}, {}]),
        (2, [{"CUDA_VISIBLE_DEVICES": name} for name in "010"]),
    ):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert [gpu_of(number) for number in range(1, len(expected) + 1)] == expected
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-ab")  # somebody has chosen: of these
    assert [gpu_of(number)["CUDA_VISIBLE_DEVICES"] for number in (1, 2, 3)] == ["5", "GPU-ab", "5"]


def test_the_table_of_larger_runs_is_what_its_tool_writes(tmp_path):
    import growth

    growth.main(tmp_path / "growth.csv")
    written = ROOT / "results" / "bench" / "growth.csv"
    assert (tmp_path / "growth.csv").read_text() == written.read_text(), "run tools/growth.py again"
    with open(written, newline="") as file:
        alone, together = [row for row in csv.DictReader(file) if "million" in row["what"]][:2]
    assert float(alone["hours"]) == pytest.approx(8 * float(together["hours"]), rel=0.05)
