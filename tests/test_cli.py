"""The command line: mistakes, Ctrl-C, resume."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from commands import run_command
from conftest import TINY
from PIL import Image


def folder_with(tmp_path, label):
    """A CamVid-like folder with one training and one validation pair."""
    for split, its_label in (("train", label), ("val", ZEROS)):
        for name, pixels in (
            (split, np.zeros((36, 48, 3), np.uint8)),
            (f"{split}annot", its_label),
        ):
            (tmp_path / name).mkdir()
            Image.fromarray(pixels).save(tmp_path / name / "a.png")
    return tmp_path


ZEROS = np.zeros((36, 48), np.uint8)
MISTAKES = {
    "no command": ([], "Expected one of"),
    "unknown command": (["trian"], "trian"),
    "unknown flag": (["train", "--stepz", "3"], "--steps"),
    "not a number": (["train", "--steps", "ten"], "ten"),
    "unknown preset": (["train", "--preset", "tiny"], "toy, pocket, few, camvid"),
    "preset and file": (["train", "--preset", "toy", "--config-file", "x"], "one of them"),
    "no such file": (["train", "--config-file", "nowhere.json"], "nowhere.json"),
    "unknown method": (["train", *TINY, "--method", "colab"], "alone, hfd"),
    "unknown data set": (["train", *TINY, "--data", "camvit"], "toyscapes, camvid"),
    "unknown CNN": (["train", *TINY, "--cnn", "resnet"], "resnet"),
    "unknown ViT": (["train", *TINY, "--vit", "mit_b9"], "mit_b0"),
    "no root": (["train", "--preset", "pocket"], "--root"),
    "fp16 on a CPU": (["train", *TINY, "--precision", "fp16"], "needs a GPU"),
    "not a data folder": (["data", "check", "camvid", "--root", "."], "none of the folders"),
    "root is not there": (
        ["train", "--preset", "pocket", "--root", "nowhere"],
        "there is no folder nowhere",
    ),
    "zero steps": (["train", *TINY, "--steps", "0"], "steps is 0"),
    "weights are not there": (["train", *TINY, "--cnn-weights", "w.pth"], "w.pth"),
    "no run": (["eval", "nowhere"], "no config.json"),
    "nothing to resume": (["train", "--resume", "nowhere"], "nowhere"),
    "unknown data for check": (["data", "check", "nothing"], "toyscapes"),
    "no image": (["predict", "nowhere", "a.png"], "nowhere"),
    "classes of a known data set": (["train", *TINY, "--classes", "a,b"], "no use for --classes"),
    "void of a known data set": (["data", "check", "toyscapes", "--void", "3"], "use for --void"),
    "columns of a folder": (
        ["data", "check", "folder", "--root", ".", "--image-column", "photo"],
        "folder has no use for --image-column",
    ),
    "folders of hf": (["train", "--data", "hf", "--root", ".", "--label-dir", "x"], "--label-dir"),
    "calibration without int8": (["export", "nowhere", "--calibrate", "8"], "needed: --int8"),
    "a drop without int8": (["export", "nowhere", "--max-drop", "2"], "needed: --int8"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(name, tmp_path):
    arguments, needed = MISTAKES[name]
    done = run_command(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and needed in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == [], "a mistake must leave nothing behind"


@pytest.mark.parametrize(
    "spoil, needed",
    [
        (lambda f: (f / "trainannot" / "a.png").unlink(), "a.png has no partner"),
        (lambda f: (f / "train" / "a.png").unlink(), "a.png has no partner"),
        (lambda f: (f / "trainannot" / "a.png").write_bytes(b"\x89PNG"), "a.png cannot be read"),
        (lambda f: shutil.rmtree(f / "trainannot"), "trainannot"),
        (lambda f: shutil.rmtree(f / "val"), "val"),
        (lambda f: Image.fromarray(ZEROS + 17).save(f / "trainannot" / "a.png"), "holds label 17"),
        (lambda f: Image.fromarray(ZEROS[:20]).save(f / "trainannot" / "a.png"), "same size"),
        (
            lambda f: Image.fromarray(np.zeros((36, 48, 3), np.uint8)).save(
                f / "trainannot" / "a.png"
            ),
            "mode RGB",
        ),
    ],
)
def test_bad_data_is_named_in_one_line(spoil, needed, tmp_path):
    root = folder_with(tmp_path, ZEROS)
    spoil(root)
    done = run_command(
        "train", "--preset", "pocket", "--root", root, "--out", tmp_path / "run", "--no-progress"
    )
    assert (
        done.returncode == 2
        and needed in done.stderr
        and len(done.stderr.strip().splitlines()) == 1
    ), done.stderr
    assert not (tmp_path / "run" / "cnn.safetensors").exists()


def test_data_check_names_all_problems_in_one_pass(tmp_path):
    root = folder_with(tmp_path, ZEROS + 17)
    Image.fromarray(np.zeros((36, 48, 3), np.uint8)).save(root / "train" / "b.png")
    shutil.rmtree(root / "val")
    done = run_command("data", "check", "camvid", "--root", root)
    assert done.returncode == 2
    for needed in (
        "no partner: 1",
        "label out of range: 1",
        "count: 1",
        "val: not there",
        "missing split: 1",
    ):
        assert needed in done.stdout, done.stdout


def test_data_check_accepts_camvid(camvid):
    done = run_command("data", "check", "camvid", "--root", camvid)
    assert done.returncode == 0 and "train: 367 images, 0 problems" in done.stdout, (
        done.stdout + done.stderr
    )


def test_data_show_writes_a_picture(tmp_path):
    done = run_command(
        "data", "show", "toyscapes", "--split", "val", "--out", tmp_path / "show.png"
    )
    assert done.returncode == 0 and Image.open(tmp_path / "show.png").width > 300


def test_eval_and_predict(tiny_run, tmp_path):
    done = run_command(
        "eval",
        tiny_run,
        "--no-progress",
        "--json",
        tmp_path / "s.json",
        "--append",
        tmp_path / "r.csv",
    )
    assert done.returncode == 0 and "mIoU" in done.stdout, done.stderr
    assert [row["student"] for row in json.loads((tmp_path / "s.json").read_text())] == [
        "cnn",
        "vit",
        "average",
    ]
    Image.fromarray(np.zeros((70, 131, 3), np.uint8)).save(tmp_path / "wide.png")
    (tmp_path / "other").mkdir()
    Image.fromarray(np.zeros((90, 33), np.uint8)).save(
        tmp_path / "other" / "wide.jpg"
    )  # grey, same stem
    done = run_command(
        "predict",
        tiny_run,
        tmp_path / "wide.png",
        tmp_path / "other" / "wide.jpg",
        "--out",
        tmp_path / "out",
    )
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == 13 and Image.open(tmp_path / "out" / "000_wide_cnn.png").size == (131, 70)
    done = run_command("predict", tiny_run, tmp_path / "r.csv")
    assert done.returncode == 2 and "r.csv cannot be read as an image" in done.stderr


EIGHTY = [*TINY, "--steps", "80", "--seed", "3"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert run_command("train", *EIGHTY, "--out", run, "--no-progress").returncode == 0
    return run


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_goes_on_to_the_same_end(number, code, whole, tmp_path):
    run = tmp_path / "run"
    started = [sys.executable, "-m", "collab_seg", "train", *EIGHTY, "--out", str(run)]
    process = subprocess.Popen(started, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not (run / "environment.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == code and "go on with: collab-seg train --resume" in said, said
    assert not (run / "cnn.safetensors").exists() and (run / "state.json").exists()
    assert run_command("train", "--resume", run, "--no-progress").returncode == 0
    for name in ("metrics.csv", "cnn.safetensors", "vit.safetensors"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    done = run_command("train", *EIGHTY, "--out", run)
    assert done.returncode == 2 and "already holds a run" in done.stderr


def test_help_names_values_as_people_do():
    train, evaluate = (run_command(name, "--help").stdout for name in ("train", "eval"))
    for part in ("--size H W", "--root DIR", "--void N ...", "--from RUN"):
        assert part in train, part
    assert "--window H W" in evaluate
    for text in (train, evaluate, run_command("data", "convert", "--help").stdout):
        assert not re.search(r"\{None|\bSTR\b|default: None\)", text), text


@pytest.mark.parametrize(
    "arguments, needed",
    [
        (["--size", "3"], "--size is 3; needed: two numbers, height and width"),
        (["--cnn-lr", "fast"], "--cnn-lr is fast; needed: a number"),
        (["--steps", "ten"], "--steps is ten; needed: a whole number"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_what_is_needed(arguments, needed, tmp_path):
    done = run_command("train", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and needed in done.stderr, done.stderr


def test_runs_are_compared_side_by_side(tiny_run, tmp_path):
    assert run_command("eval", tiny_run, "--no-progress").returncode == 0
    again = shutil.copytree(tiny_run, tmp_path / "again")
    done = run_command("compare", tiny_run, again)
    assert done.returncode == 0 and "difference" in done.stdout, done.stderr
    assert re.search(r"mIoU +(\d+\.\d) +(\d+\.\d) +\1 +\2 +0.0 +0.0", done.stdout), done.stdout
    for runs, needed in (
        ([tiny_run], "two or more"),
        ([tiny_run, tmp_path], "is no run"),
        ([tiny_run, again, "--split", "test"], "was not scored on test"),
    ):
        done = run_command("compare", *runs)
        assert done.returncode == 2 and needed in done.stderr, done.stderr


def test_help_explains_every_setting():
    import dataclasses

    from collab_seg.config import Config

    text = run_command("train", "--help").stdout
    for part in dataclasses.fields(Config):
        for setting in dataclasses.fields(part.default_factory):
            assert f"--{setting.name.replace('_', '-')}" in text, setting.name
