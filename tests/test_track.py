"""Trackers: they are told what metrics.csv says and see the pictures, change nothing, and cannot lose a run."""

import csv
import importlib.util
import math
import sys
import time
import warnings

import pytest
from conftest import tiny_config

from collab_seg.core import UserError
from collab_seg.training.loop import train
from collab_seg.training.stopping import Stopped


def table(run):
    """The rows of metrics.csv as numbers."""
    with open(run / "metrics.csv") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def events(run):
    """What TensorBoard reads from a run: scalars by name and step, and the steps of the pictures."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found, pictures = {}, []
    folders = sorted({path.parent for path in run.rglob("events.out.tfevents.*")})
    assert len(folders) == 1 and folders[0].is_relative_to(run / "tensorboard")
    read = accumulator.EventAccumulator(
        str(folders[0]), size_guidance={"scalars": 0, "images": 0}
    ).Reload()
    for name in read.Tags()["scalars"]:
        found[name] = {event.step: event.value for event in read.Scalars(name)}
    for event in read.Images("pictures"):
        assert (
            event.encoded_image_string.startswith(b"\x89PNG") and event.width > event.height > 100
        )
        pictures.append(event.step)
    return found, pictures


def assert_same(found, rows):
    """Every scalar of every step is there once, and nothing else."""
    assert set(found) == set(rows[0]) - {"step"}
    for name, values in found.items():
        assert sorted(values) == [row["step"] for row in rows], name
        assert all(
            math.isclose(values[row["step"]], row[name], rel_tol=1e-6, abs_tol=1e-9) for row in rows
        ), name


def test_tensorboard_has_the_figures_of_the_log_and_the_pictures(tiny_run, tmp_path):
    pytest.importorskip("tensorboard")
    run = train(
        tiny_config(),
        tmp_path / "run",
        progress=False,
        save_every=2,
        trackers=("tensorboard", "tensorboard"),
    )
    found, pictures = events(run)
    assert_same(found, table(run))
    assert pictures == [1, 2]  # after the checkpoint of two steps, and at the end
    for name in (
        "metrics.csv",
        "cnn.safetensors",
        "vit.safetensors",
        "config.json",
    ):  # watching changes nothing
        assert (run / name).read_bytes() == (tiny_run / name).read_bytes(), name


def test_a_resumed_run_goes_on_in_its_tracker(tiny_run, tmp_path):
    pytest.importorskip("tensorboard")
    with pytest.raises(Stopped):
        train(
            tiny_config(),
            tmp_path / "run",
            progress=False,
            time_limit=1e-9,
            trackers=["tensorboard"],
        )
    run = train(
        tiny_config(), tmp_path / "run", resume=True, progress=False, trackers=["tensorboard"]
    )
    found, pictures = events(run)
    assert_same(found, table(run))
    assert pictures == [0, 2]
    assert (run / "vit.safetensors").read_bytes() == (tiny_run / "vit.safetensors").read_bytes()


def test_wandb_stays_on_this_machine(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    run = train(tiny_config(steps=2), tmp_path / "run", progress=False, trackers=["wandb"])
    (folder,) = (run / "wandb").glob("offline-run-*")
    assert folder.name.endswith((run / "wandb" / "id").read_text().strip())
    (kept,) = folder.glob("run-*.wandb")
    until = time.monotonic() + 60  # wandb's own process writes the file, when it finds the time
    while b"pixel_to_vit" not in kept.read_bytes() and time.monotonic() < until:
        time.sleep(0.5)
    assert b"pixel_to_vit" in kept.read_bytes() and list(
        folder.rglob("media/images/pictures_*.png")
    )
    assert not list((run / "wandb").glob("run-*")), "a run that is not offline"


def test_trackio_stays_on_this_machine(tmp_path, monkeypatch):
    if importlib.util.find_spec("trackio") is None or "trackio" in sys.modules:
        pytest.skip("trackio is not installed, or was imported with another folder")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "run" / "trackio"))
    run = train(tiny_config(steps=2), tmp_path / "run", progress=False, trackers=["trackio"])
    files = [path for path in (run / "trackio").rglob("*") if path.is_file()]
    assert any(b"pixel_to_vit" in path.read_bytes() for path in files), files
    assert any(path.suffix == ".png" for path in files), files


def test_a_tracker_that_fails_does_not_lose_the_run(tiny_run, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from accelerate.tracking import TensorBoardTracker

    def fail(self, values, step=None, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TensorBoardTracker, "log", fail)
    with pytest.warns(
        UserWarning, match="the tracker tensorboard failed .*the run goes on without it"
    ):
        run = train(tiny_config(), tmp_path / "run", progress=False, trackers=["tensorboard"])
    assert (run / "metrics.csv").read_bytes() == (tiny_run / "metrics.csv").read_bytes()
    assert (run / "summary.json").exists()


def test_a_tracker_that_does_not_start_ends_the_command_and_leaves_no_run(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from accelerate.tracking import TensorBoardTracker

    def fail(self, *_, **__):
        raise RuntimeError("no such\nserver")

    monkeypatch.setattr(TensorBoardTracker, "__init__", fail)
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(UserError, match="did not start .*needed: no --tracker"),
    ):
        train(tiny_config(), tmp_path / "run", progress=False, trackers=["tensorboard"])
    assert not (tmp_path / "run").exists()


def test_what_is_not_installed_or_unknown_is_one_line(tmp_path, monkeypatch, capsys):
    from collab_seg.use.cli import main

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "wandb" else find(name, *more),
    )
    command = [
        "train",
        "--preset",
        "toy",
        "--out",
        str(tmp_path / "run"),
        "--no-progress",
        "--tracker",
    ]
    assert main([*command, "wandb"]) == 2
    assert "pip install wandb" in capsys.readouterr().err
    assert main([*command, "abacus"]) == 2
    assert "tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_flag_can_be_given_twice():
    from collab_seg.use.cli import parse

    assert parse(["train", "--tracker", "tensorboard", "--tracker", "wandb"]).tracker == (
        "tensorboard",
        "wandb",
    )
    assert parse(["train"]).tracker == ()
