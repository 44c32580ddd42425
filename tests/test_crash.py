"""Work survives: processes killed at any moment, full disks, spoiled checkpoints, images that give no finite loss."""

import dataclasses
import errno
import os
import random
import shutil
import time
from pathlib import Path

import pytest
import torch
from commands import context
from conftest import survives, tiny_config
from safetensors.torch import load_file

from collab_seg.core import UserError
from collab_seg.files import write_atomic
from collab_seg.training.log import CSVLog
from collab_seg.training.loop import Training, told_in_one_line, train
from collab_seg.training.step import task_loss
from collab_seg.training.stopping import Stopped

SAME = ("metrics.csv", "cnn.safetensors", "vit.safetensors", "scores_toyscapes_val-10.json")
KILLS = int(os.environ.get("COLLAB_SEG_KILLS", "30"))  # the longer version: COLLAB_SEG_KILLS=200


def start(run, steps):
    from crash_worker import work

    progress = context().Value("i", -1)
    process = context().Process(target=work, args=(str(run), steps, progress))
    process.start()
    return process, progress


def without_times(path: Path):
    import json

    if path.suffix != ".json":
        return path.read_bytes()
    rows = json.loads(path.read_text())
    return [
        {key: row[key] for key in row if key not in ("seconds", "images_per_s", "peak_mb")}
        for row in rows
    ]


def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(tmp_path):
    """kill -9 in steps, in writes and in the evaluation, again and again, until the run is through."""
    steps, random_moment = 20, random.Random(0)
    length = float("inf")
    for name in ("first", "whole"):
        began = time.monotonic()
        process, _ = start(tmp_path / name, steps)
        process.join()
        length = min(length, time.monotonic() - began)
        assert process.exitcode == 0
    kills = rounds = counted = 0
    while kills < KILLS:
        run = tmp_path / f"round{rounds}"
        rounds += 1
        while True:
            process, progress = start(run, steps)
            process.join(random_moment.uniform(0, 0.6) * length)
            if process.exitcode is None and kills < KILLS:
                process.kill()
                kills += 1
            process.join()
            if process.exitcode == 0:
                break
            assert process.exitcode == -9, process.exitcode
        with survives("kill -9 while training, writing or scoring", kills - counted):
            for name in SAME:
                assert without_times(run / name) == without_times(tmp_path / "whole" / name), (
                    name,
                    kills,
                )
            left = [path.name for path in run.iterdir() if path.name.startswith((".", "state"))]
            assert not left, left
        counted = kills
        shutil.rmtree(run)
    print(f"{kills} kills in {rounds} runs")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize(
    "what", ["state-4", "state.json", "metrics.csv", "cnn.safetensors", "summary.json"]
)
def test_a_full_disk_is_one_line_and_what_was_saved_stays_whole(what, code, tmp_path, monkeypatch):
    config, run = tiny_config(steps=6), tmp_path / "run"
    whole = train(config, tmp_path / "whole", progress=False)
    write, append = write_atomic, CSVLog.flush

    def full(path, content):
        if Path(path).name.startswith(what):
            raise OSError(code, os.strerror(code), str(path))
        return write(path, content)

    def full_log(self):
        if self.path.name == what and self.rows[-1]["step"] >= 3:
            with open(self.path, "a") as file:
                file.write("3,0.00")  # half a line got through
            raise OSError(code, os.strerror(code), str(self.path))
        append(self)

    for module in ("loop", "run", "state"):
        monkeypatch.setattr(f"collab_seg.training.{module}.write_atomic", full)
    monkeypatch.setattr(CSVLog, "flush", full_log)
    with pytest.raises(UserError, match="--resume"):
        train(config, run, progress=False, save_every=2)
    monkeypatch.undo()
    with survives("full disk or read-only folder while writing"):
        train(config, run, resume=True, progress=False)
        for name in SAME[:3]:
            assert (run / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("spoil", ["cut", "gone", "other students", "not JSON", "a pickle"])
def test_a_spoiled_checkpoint_is_one_line(spoil, tmp_path, monkeypatch):
    config, run = tiny_config(steps=4), tmp_path / "run"
    monkeypatch.setattr(Training, "finish", lambda self: None)
    train(config, run, progress=False, save_every=2)
    state = run / "state-4.safetensors"
    if spoil == "cut":
        state.write_bytes(state.read_bytes()[:1000])
    elif spoil == "gone":
        state.unlink()
    elif spoil == "not JSON":
        (run / "state.json").write_text('{"step": 4, "fi')
    elif spoil == "a pickle":
        torch.save({"pair": 1}, state)
    else:
        config = dataclasses.replace(
            config, students=dataclasses.replace(config.students, decoder_width=32)
        )
    with survives("spoiled checkpoint"):
        before = sorted((path.name, path.read_bytes()) for path in run.iterdir())
        with pytest.raises(UserError, match="checkpoint") as error:
            train(config, run, resume=True, progress=False)
        assert "\n" not in str(error.value)
        assert sorted((path.name, path.read_bytes()) for path in run.iterdir()) == before


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "Connection reset by peer"),
        ConnectionRefusedError(111, "Connection refused"),
        EOFError(),  # it died between its answer and the hand-over of the batch's memory
        OSError("got end of file during message"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whenever_a_data_worker_dies_it_is_named(error, tmp_path):
    with pytest.raises(UserError) as told, told_in_one_line(tmp_path, True, True):
        raise error
    assert "data worker was killed" in str(told.value) and "--resume" in str(told.value)


def test_an_image_that_gives_no_finite_loss_is_skipped_and_counted(tmp_path, monkeypatch):
    """Two steps see NaN: they change no weight and no running statistic, and the run goes on."""
    task, calls = task_loss, []

    def sometimes_nan(*given):
        calls.append(0)
        return task(*given) * (float("nan") if len(calls) in (3, 4, 5) else 1.0)

    monkeypatch.setattr("collab_seg.training.step.task_loss", sometimes_nan)
    import pandas as pd

    with survives("loss that is not finite", 2):
        run = train(tiny_config(steps=6), tmp_path / "run", progress=False)
        rows = pd.read_csv(run / "metrics.csv")
        assert rows["skipped"].tolist() == [0, 1, 1, 0, 0, 0] and rows["total"].isna().sum() == 2
        assert (run / "summary.json").exists()


def test_ten_skipped_steps_in_a_row_stop_the_run_and_name_the_images(tmp_path, monkeypatch):
    task, calls = task_loss, []

    def nan_from_step_6(*given):
        calls.append(0)
        return task(*given) * (float("nan") if len(calls) > 12 else 1.0)

    monkeypatch.setattr("collab_seg.training.step.task_loss", nan_from_step_6)
    with survives("loss that is not finite", 10):
        with pytest.raises(
            UserError, match="at step 15 .*ce_cnn.* images: image [0-9]+, image [0-9]+;"
        ) as error:
            train(tiny_config(steps=30), tmp_path / "run", progress=False, save_every=4)
        assert "\n" not in str(error.value)
        tensors = load_file(next((tmp_path / "run").glob("state-*.safetensors")))
        assert all(value.isfinite().all() for value in tensors.values())


def test_a_time_limit_stops_like_sigterm_and_the_run_goes_on(tmp_path):
    config, run = tiny_config(steps=6), tmp_path / "run"
    with survives("time limit"):
        with pytest.raises(Stopped, match="--resume") as stopped:
            train(config, run, progress=False, time_limit=1e-9)
        assert stopped.value.signal == 15
        train(config, run, resume=True, progress=False)
        whole = train(config, tmp_path / "whole", progress=False)
        for name in SAME[:3]:
            assert (run / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_that_goes_on_elsewhere_says_so(tmp_path):
    """Another device or other versions may change the last digits: never without a word."""
    config, run = tiny_config(steps=6), tmp_path / "run"
    with pytest.raises(Stopped):
        train(config, run, progress=False, time_limit=1e-9)
    path = run / "environment.json"
    path.write_text(
        path.read_text()
        .replace('"device": "cpu"', '"device": "cuda"')
        .replace('"torch": "', '"torch": "1')
    )
    with pytest.warns(
        UserWarning, match=r"last digits may differ: torch 1[0-9.+a-z]+ -> .*device cuda -> cpu"
    ):
        train(config, run, resume=True, progress=False)
    assert '"device": "cpu"' in path.read_text()
