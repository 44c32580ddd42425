"""Two processes do the same as one; when one dies the other stops; the run goes on afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from commands import run_command
from conftest import survives
from safetensors.torch import load_file
from test_track import assert_same, events, table

FROZEN = str(Path(__file__).parent / "helpers" / "frozen_norms.py")
TINY = "--preset toy --size 32 48 --crop 32 48 --device cpu --no-progress".split()
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ACCELERATE = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"]


def call(*command):
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, env=ENVIRONMENT, timeout=900
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The run of one process."""
    run = tmp_path_factory.mktemp("one") / "run"
    done = run_command("train", *TINY, *ARGUMENTS, "--out", run, frozen=True)
    assert done.returncode == 0, done.stderr
    return run


# AdamW divides by the size of a gradient, also where it is nothing but rounding; at a low rate that
# stays small.
ARGUMENTS = [
    "--steps",
    "20",
    "--batch-size",
    "8",
    "--seed",
    "1",
    "--balance",
    "class",
    "--lr",
    "5e-5",
]


@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_two_processes_do_the_steps_of_one(launcher, one, tmp_path):
    """Masked means are means over the valid units of both: 20 steps of 2 x 4 images are 20 steps of
    8."""
    command = TORCHRUN + [FROZEN] if launcher == "torchrun" else ACCELERATE + [FROZEN]
    code, shown, said = call(*command, "train", *TINY, *ARGUMENTS, "--out", tmp_path / "two")
    assert code == 0, said
    assert shown.count("mIoU") == 1  # one process speaks
    rows = [pd.read_csv(run / "metrics.csv") for run in (one, tmp_path / "two")]
    skip = ["step", "lr", "cka_low"]  # CKA is taken for each part of the batch
    for name in rows[0].columns.drop(skip):
        most = (
            1e-5 if name.startswith("ce_") else 1e-3
        )  # a pixel on the fence may change its teacher
        assert (rows[0][name] - rows[1][name]).abs().max() < most, name
        assert abs(rows[0][name].iloc[0] - rows[1][name].iloc[0]) < 1e-5, name
    scores = [pd.read_json(run / "scores_toyscapes_val.json") for run in (one, tmp_path / "two")]
    assert (scores[0]["miou"] - scores[1]["miou"]).abs().max() < 0.5  # every image counted once
    weights = [load_file(run / "vit.safetensors") for run in (one, tmp_path / "two")]
    assert max((a - b).abs().max() for a, b in zip(*(w.values() for w in weights))) < 1e-4


def test_the_shorthand_trains_and_what_one_process_began_two_finish(tmp_path):
    run = tmp_path / "run"
    first = "--steps 30 --batch-size 4 --time-limit 0.001".split()
    done = run_command("train", *TINY, *first, "--out", run)
    assert done.returncode == 143 and "--resume" in done.stderr
    before = json.loads((run / "state.json").read_text())["step"]
    more = "--num-processes 2 --tracker tensorboard --no-progress".split()
    code, shown, said = call(sys.executable, "-m", "collab_seg", "train", "--resume", run, *more)
    assert code == 0 and shown.count("mIoU") == 1, said
    assert "processes 1 -> 2" in said  # it says that the last digits may differ
    rows = table(run)
    assert len(rows) == 30
    found, pictures = events(run)  # one of the two processes tells the tracker
    assert_same(found, rows[before:])
    assert pictures == [29]


def test_a_batch_that_cannot_be_shared_is_one_mistake(tmp_path):
    shared = "--batch-size 3 --num-processes 2".split()
    done = run_command("train", *TINY, *shared, "--out", tmp_path / "run")
    assert done.returncode == 2 and "batch_size is 3 for 2 processes" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_all_processes_stop_after_the_same_step(number, code, tmp_path):
    run = tmp_path / "run"
    process = start(run, "400", "--num-processes", "2")
    with survives("Ctrl-C or SIGTERM"):
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == code and said.count("--resume") == 1, said
        assert (run / "state.json").exists()


def start(run, steps, *more):
    """A run that has just written its first checkpoint."""
    command = [
        sys.executable,
        "-m",
        "collab_seg",
        "train",
        *TINY,
        "--steps",
        steps,
        "--batch-size",
        "4",
        "--save-every",
        "5",
        "--out",
        str(run),
        *more,
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    deadline = time.monotonic() + 120
    while (
        not (run / "state.json").exists() and time.monotonic() < deadline and process.poll() is None
    ):
        time.sleep(0.05)
    assert process.poll() is None
    return process


def test_when_one_process_dies_the_other_stops_soon_and_the_run_goes_on(tmp_path):
    run = tmp_path / "run"
    process = start(run, "60", "--num-processes", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell a process's children")
    with survives("one of two processes killed"):
        os.kill(int(children.read_text().split()[1]), signal.SIGKILL)
        began = time.monotonic()
        _, said = process.communicate(timeout=60)
        assert (
            process.returncode == 1
            and "process 1 was killed by signal 9" in said
            and "--resume" in said
        ), said
        assert time.monotonic() - began < 60
        assert run_command("train", "--resume", run, "--no-progress").returncode == 0


def test_a_dead_data_worker_is_one_line(tmp_path):
    run = tmp_path / "run"
    process = start(run, "400", "--workers", "1")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("this system does not tell a process's children")
    with survives("data worker killed"):
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        assert (
            process.returncode == 2
            and "data worker" in said
            and "--resume" in said
            and "Traceback" not in said
        ), said
        resumed = run_command("train", "--resume", run, "--no-progress", "--time-limit", "0.05")
        assert resumed.returncode == 143
