"""Going on from what one has: a run's students as first weights, data that has changed, words under a table, and Ctrl-C."""

import dataclasses
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from commands import run_command
from conftest import tiny_config
from PIL import Image

from collab_seg.config import ImageConfig, StudentConfig
from collab_seg.core import UserError
from collab_seg.students import build
from collab_seg.students.weights import read_weights
from collab_seg.training.evaluate import open_students
from collab_seg.training.loop import train
from collab_seg.training.metrics import Confusion
from collab_seg.training.run import RunWeights, run_config
from collab_seg.training.scores import score_notes
from collab_seg.use import cli
from collab_seg.use.commands_data import DataCheck
from collab_seg.use.commands_study import Reproduce, Study
from collab_seg.use.commands_train import Train
from collab_seg.use.commands_use import Eval, Predict
from collab_seg.use.deploy import first_weights, pretrained_student

SMALL = ["--size", "48", "64", "--crop", "48", "64", "--batch-size", "2", "--no-progress"]

build_students = functools.partial(build.build_students, resolve=RunWeights)


def started(*arguments, **options):
    """What a home cannot change any more once the libraries are loaded: a command with a start of its own."""
    return subprocess.run(
        [sys.executable, "-m", "collab_seg", *map(str, arguments)],
        capture_output=True,
        text=True,
        **options,
    )


def own_photos(root, classes=("rest", "road"), count=5):
    for split in ("train", "val"):
        for number in range(count):
            for kind in ("images", "labels"):
                (root / kind / split).mkdir(parents=True, exist_ok=True)
            rng = np.random.default_rng(number)
            label = rng.integers(0, len(classes), (48, 64)).astype(np.uint8)
            Image.fromarray(rng.integers(0, 255, (48, 64, 3), np.uint8)).save(
                root / "images" / split / f"p{number}.png"
            )
            Image.fromarray(label).save(root / "labels" / split / f"p{number}.png")
    (root / "classes.txt").write_text("\n".join(classes))
    return root


# a run's students as first weights


def first(run, **students):
    weights = {f"{kind}_weights": str(run / f"{kind}.safetensors") for kind in ("cnn", "vit")}
    return dataclasses.replace(run_config(run).students, **weights | students)


def test_the_same_classes_take_everything(tiny_run, capsys):
    cnn, vit, source, _ = open_students(tiny_run)
    for config in (
        first(tiny_run),
        first(tiny_run, cnn_weights=str(tiny_run), vit_weights=str(tiny_run)),
    ):  # the folder will do
        again = build_students(config, len(source.classes), seed=7, classes=source.classes)
        for ours, theirs in zip(again, (cnn, vit)):
            assert all(
                torch.equal(value, theirs.state_dict()[key])
                for key, value in ours.state_dict().items()
            )
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "classes",
    [("a", "b", "c"), tuple("abcdefghij")],
    ids=["fewer classes", "as many of other names"],
)
def test_other_classes_take_all_but_the_head_and_it_is_said(tiny_run, capsys, classes):
    students = build_students(first(tiny_run), len(classes), seed=7, classes=classes)
    fresh = build_students(run_config(tiny_run).students, len(classes), seed=7)
    for kind, student, new in zip(("cnn", "vit"), students, fresh):
        trained = read_weights(tiny_run / f"{kind}.safetensors")
        for key, value in student.state_dict().items():
            assert torch.equal(
                value, new.state_dict()[key] if key.startswith("head.") else trained[key]
            ), key
    said = capsys.readouterr().err
    assert (
        said.count("its head knows other classes and starts anew") == 2
        and "note: the cnn begins with" in said
    )


def test_without_a_list_of_classes_the_shape_decides(tiny_run, tmp_path, capsys):
    (tmp_path / "cnn.safetensors").write_bytes((tiny_run / "cnn.safetensors").read_bytes())
    config = dataclasses.replace(
        first(tiny_run), cnn_weights=str(tmp_path / "cnn.safetensors"), vit_weights=None
    )
    cnn, _ = build_students(config, 10, seed=7, classes=tuple("abcdefghij"))
    assert torch.equal(cnn.head.weight, read_weights(tiny_run / "cnn.safetensors")["head.weight"])
    build_students(config, 3, seed=7, classes=tuple("abc"))
    assert capsys.readouterr().err.count("starts anew") == 1


def test_a_student_of_another_architecture_is_one_line(tiny_run):
    with pytest.raises(
        UserError, match="cnn.safetensors: .* tensors missing.*needed: weights of this architecture"
    ):
        build_students(first(tiny_run, cnn="test_resnet"), 10, seed=0)


# --from


def test_a_finished_run_is_trained_further_as_a_new_one(tiny_run, tmp_path, capfd):
    out = tmp_path / "more"
    assert (
        cli.main(
            ["train", "--from", str(tiny_run), "--steps", "2", "--out", str(out), "--no-progress"]
        )
        == 0
    )
    config, before = run_config(out), run_config(tiny_run)
    assert (
        config.optim.steps == 2 and config.data == before.data and config.distill == before.distill
    )
    assert config.students.cnn_weights == str(tiny_run / "cnn.safetensors")
    assert "of the run tiny" in first_weights("mobilenetv2_050", config.students.cnn_weights)
    assert "of the run tiny" in pretrained_student(out, "vit").about["first_weights"]
    old, new = (json.loads((run / "summary.json").read_text())["steps"] for run in (tiny_run, out))
    assert (old, new) == (3, 2)
    first_step = [
        float((run / "metrics.csv").read_text().splitlines()[1].split(",")[4])
        for run in (tiny_run, out)
    ]
    assert first_step[1] < first_step[0]  # its first loss: it has learnt something already
    capfd.readouterr()
    assert cli.main(["reproduce", str(out), "--no-progress"]) == 0  # its first weights are there


def test_other_data_begin_from_a_run_too(tiny_run, tmp_path, capfd):
    root = own_photos(tmp_path / "mine")
    out = tmp_path / "moved"
    assert (
        cli.main(
            [
                "train",
                "--from",
                str(tiny_run),
                "--data",
                "folder",
                "--root",
                str(root),
                "--steps",
                "2",
                "--out",
                str(out),
                "--no-progress",
            ]
        )
        == 0
    )
    assert "its head knows other classes and starts anew" in capfd.readouterr().err
    assert open_students(out)[2].classes == ("rest", "road")


def test_what_cannot_be_begun_from_is_one_line(tiny_run, tmp_path, capsys):
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.json").write_bytes((tiny_run / "config.json").read_bytes())
    for arguments, said in (
        (["--from", str(unfinished)], "go on with: collab-seg train --resume"),
        (["--from", str(tmp_path)], "is no run"),
        (
            ["--from", str(tiny_run), "--preset", "toy"],
            "each give all settings; needed: one of them",
        ),
        (["--from", str(tiny_run), "--resume", str(tiny_run)], "each give all settings"),
    ):
        assert cli.main(["train", *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error


def test_the_default_folder_is_another_one(tiny_run):
    started = cli.parse(["train", "--from", str(tiny_run)])
    assert started.folder == "runs/toyscapes-collab-s0-from-tiny" and started.begin == str(tiny_run)


def test_a_run_whose_first_run_is_gone_is_one_line(tmp_path):
    config = dataclasses.replace(
        tiny_config().students, cnn_weights=str(tmp_path / "gone" / "cnn.safetensors")
    )
    with pytest.raises(UserError, match="there is no weights file .*gone"):
        build_students(config, 10, seed=0)
    assert StudentConfig().cnn_weights is None


# another folder of own data


QUICK = ["--size", "48", "64", "--crop", "48", "64", "--cnn", "test_resnet", "--vit", "mit_femto"]
QUICK += ["--batch-size", "2", "--steps", "1", "--no-progress", "--no-check"]


@pytest.fixture(scope="module")
def home_run(tmp_path_factory):
    """A run whose classes stand on its command line: sky, road, car."""
    folder = tmp_path_factory.mktemp("home")
    root = own_photos(folder / "home", ("sky", "road", "car"))
    (root / "classes.txt").unlink()
    given = ["--data", "folder", "--root", str(root), "--classes", "sky,road,car"]
    assert cli.main(["train", *given, *QUICK, "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_another_folder_has_classes_of_its_own(home_run, tmp_path, capsys):
    other = own_photos(tmp_path / "other", ("road", "sky", "car"))
    score = ["eval", str(home_run), "--root", str(other), "--no-progress"]
    assert cli.main(score) == 2
    said = capsys.readouterr().err
    assert "has learnt the classes sky, road, car" in said and "in the same order" in said
    begin = ["train", "--from", str(home_run), "--root", str(other), *QUICK]
    assert cli.main([*begin, "--out", str(tmp_path / "more")]) == 0
    assert open_students(tmp_path / "more")[2].classes == ("road", "sky", "car")
    assert capsys.readouterr().err.count("its head knows other classes and starts anew") == 2
    (other / "classes.txt").unlink()  # then those of the run count
    assert cli.main(score) == 0


def test_numbers_in_a_list_of_the_other_folder_count(home_run, tmp_path):
    other = own_photos(tmp_path / "other", ("void", "sky", "road", "car"))
    assert cli.main(["eval", str(home_run), "--root", str(other), "--no-progress"]) == 0
    [scores] = home_run.glob("other_scores_folder_other_val.json")
    assert json.loads(scores.read_text())[0]["root"] == str(other)


def test_a_run_begins_on_data_of_another_kind(home_run, tmp_path):
    begun = cli.parse(["train", "--from", str(home_run), "--data", "toyscapes"])
    assert begun.config.data.classes is None


def test_scores_of_another_folder_are_not_those_of_the_run(home_run, tmp_path, capsys):
    own = home_run / "scores_folder_val.json"
    before = own.read_bytes()
    other = own_photos(tmp_path / "elsewhere", ("sky", "road", "car"), count=3)
    assert cli.main(["eval", str(home_run), "--root", str(other), "--no-progress"]) == 0
    assert own.read_bytes() == before
    assert (
        cli.main(["eval", str(home_run), "--root", f"{other}/../elsewhere", "--no-progress"]) == 0
    )
    assert (home_run / "other_scores_folder_elsewhere_val.json").is_file()
    capsys.readouterr()
    assert cli.main(["reproduce", str(home_run), "--no-progress"]) == 0


def test_runs_that_were_scored_on_other_images_are_not_compared(home_run, tmp_path, capsys):
    other = own_photos(tmp_path / "other", ("sky", "road", "car"), count=6)
    second = tmp_path / "second"
    given = ["--data", "folder", "--root", str(other), *QUICK, "--out", str(second)]
    assert cli.main(["train", *given]) == 0
    capsys.readouterr()
    assert cli.main(["compare", str(home_run), str(second)]) == 2
    said = capsys.readouterr().err
    assert "other images" in said and "needed: " in said and said.count("\n") == 1, said
    path = second / "scores_folder_val.json"
    rows = json.loads(path.read_text())
    path.write_text(
        json.dumps([{k: v for k, v in row.items() if "sha256" not in k} for row in rows])
    )
    assert cli.main(["compare", str(home_run), str(second)]) == 0  # it was scored by an older kit


# what is given and not taken


def test_each_flag_that_a_resumed_run_does_not_take_is_named(home_run, capsys):
    resume = ["train", "--resume", str(home_run), "--no-progress"]
    given = ["--method", "collab", "--lr", "0.002", "--seed", "0", "--steps", "1000"]
    assert cli.main([*resume, *given]) == 0
    said = capsys.readouterr().err
    assert "ignored: steps=1000\n" in said, said  # a default too; the others are as in the run
    assert cli.main(resume) == 0
    assert "ignored" not in capsys.readouterr().err


def test_photos_without_labels_that_a_method_does_not_use_are_named(tmp_path, capsys):
    from conftest import TINY

    photos = own_photos(tmp_path / "mine") / "images" / "train"
    given = ["train", *TINY, "--steps", "1", "--no-progress", "--out", str(tmp_path / "run")]
    assert cli.main([*given, "--unlabelled", str(photos), "--confidence", "0.9"]) == 0
    said = capsys.readouterr().err
    assert "note: method collab has no use for --unlabelled, --confidence; " in said
    assert "--method mean_pair learns from images without labels" in said
    given[-1] += "2"
    assert cli.main([*given, "--unlabelled", str(photos / "gone")]) == 2
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "method, flags, idle",
    [
        ("own_mean", "--temperature 4 --ramp 0.1 --reliability entropy", "temperature reliability"),
        ("ctct", "--ramp 0.1 --teacher-decay 0.9 --confidence 0.5", "ramp teacher-decay"),
        ("hfd", "--pixel-weight 2 --hfd-weight 2 --teacher mean_pair", "pixel-weight"),
        ("alone", "--start 0.1 --margin 0.2 --own-views --pseudo-balance", "start margin pseudo"),
        ("dml", "--peer-weight 2 --temperature 2 --region-size 8", "region-size"),
        ("pixel", "--unlabelled-batch 2 --translator-lr 1e-3", "unlabelled-batch translator-lr"),
        ("region", "--translator-lr 1e-3 --region-size 8", ""),
        ("selective", "--reliability entropy --unlabelled-batch 2 --no-unlabelled-features", ""),
    ],
)
def test_a_flag_that_a_method_has_no_use_for_is_named(method, flags, idle, tmp_path, capsys):
    """And no other: the terms are asked, so a loss of one's own is known as well."""
    (tmp_path / "config.json").write_text("of a run that is there already")
    given = ["train", "--preset", "toy", "--method", method, *flags.split(), "--out", str(tmp_path)]
    assert cli.main(given) == 2  # a mistake that is found after all flags were looked at
    said = capsys.readouterr().err
    named = re.findall(r"--[a-z-]+", said.partition("no use for ")[2].partition(";")[0])
    named = [flag.removeprefix("--") for flag in named]
    wanted = ["pseudo-balance" if flag == "pseudo" else flag for flag in idle.split()]
    assert sorted(named) == sorted(wanted), said


# data that has changed


@pytest.fixture
def stopped(tmp_path):
    """A run on own photos that was stopped after two of four steps."""
    root = own_photos(tmp_path / "mine")
    done = run_command(
        "train",
        "--data",
        "folder",
        "--root",
        root,
        "--steps",
        400,
        "--time-limit",
        "0.02",
        "--save-every",
        1,
        *SMALL,
        "--out",
        tmp_path / "run",
    )
    assert done.returncode == 143, done.stderr
    return root, tmp_path / "run"


def test_resuming_after_the_data_changed_says_what_changed(stopped):
    root, run = stopped
    config = run_config(run)
    assert json.loads((run / "data.json").read_text())["images"] == 5
    added = [root / kind / "train" / "zz.png" for kind in ("images", "labels")]
    for path in added:
        path.write_bytes((path.parent / "p0.png").read_bytes())
    with pytest.raises(
        UserError,
        match="train has 6 images, had 5 .first new: zz.png.; needed: the data as it was, or a new run",
    ):
        train(config, run, resume=True, progress=False)
    for path in added:
        path.unlink()
    for kind in ("images", "labels"):
        (root / kind / "train" / "p0.png").rename(root / kind / "train" / "q0.png")
    with pytest.raises(
        UserError, match="train has 5 images, had 5 .first new: q0.png, first missing: p0.png."
    ):
        train(config, run, resume=True, progress=False)
    for kind in ("images", "labels"):
        (root / kind / "train" / "q0.png").rename(root / kind / "train" / "p0.png")
    for text, said in (
        ("rest\nroad\ndoor", "classes gained door"),
        ("rest\nstreet", "classes gained street; classes lost road"),
        ("road\nrest", "classes come in another order"),
        ("1 rest\n2 road", "label files mean other classes"),
        ("void\nrest\nroad", "label files mean other classes"),
    ):
        (root / "classes.txt").write_text(text)
        with pytest.raises(UserError, match=said):
            train(config, run, resume=True, progress=False)


def test_a_run_goes_on_when_the_run_that_it_began_from_is_gone(tiny_run, tmp_path):
    first = tmp_path / "first"
    shutil.copytree(tiny_run, first)
    done = run_command(
        "train",
        "--from",
        first,
        "--steps",
        400,
        "--time-limit",
        "0.02",
        "--save-every",
        1,
        "--no-progress",
        "--out",
        tmp_path / "run",
    )
    assert done.returncode == 143, done.stderr
    shutil.rmtree(first)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["optim"]["steps"] = json.loads((tmp_path / "run" / "state.json").read_text())["step"] + 1
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert (
        train(run_config(tmp_path / "run"), tmp_path / "run", resume=True, progress=False)
        / "summary.json"
    ).exists()


def test_a_snapshot_knows_the_classes_of_its_run(tiny_run, tmp_path, capsys):
    run = tmp_path / "run"
    (run / "snapshots" / "step-000001").mkdir(parents=True)
    shutil.copy(tiny_run / "cnn.safetensors", run / "snapshots" / "step-000001")
    shutil.copy(tiny_run / "classes.json", run)
    config = dataclasses.replace(
        first(tiny_run),
        cnn_weights=str(run / "snapshots/step-000001/cnn.safetensors"),
        vit_weights=None,
    )
    build_students(config, 10, seed=7, classes=tuple("abcdefghij"))
    assert "its head knows other classes and starts anew" in capsys.readouterr().err


def test_a_card_tells_where_the_first_run_began(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "first")
    config = json.loads((tmp_path / "first" / "config.json").read_text())
    config["students"] |= {"vit": "mit_b0", "vit_weights": "imagenet"}
    (tmp_path / "first" / "config.json").write_text(json.dumps(config))
    assert "for research only" in first_weights(
        "mit_b0", str(tmp_path / "first" / "vit.safetensors")
    )
    assert "not here any more" in first_weights(
        "mit_b0", str(tmp_path / "gone" / "vit.safetensors")
    )


def test_resuming_with_the_same_data_works_also_for_runs_of_old(stopped):
    root, run = stopped
    (run / "data.json").unlink()  # release 0.1 wrote none
    config = json.loads((run / "config.json").read_text())
    config["optim"]["steps"] = json.loads((run / "state.json").read_text())["step"] + 1
    (run / "config.json").write_text(json.dumps(config))
    assert (train(run_config(run), run, resume=True, progress=False) / "summary.json").exists()
    assert root.is_dir()


def test_a_million_names_are_compared_in_seconds(monkeypatch):
    from datasets import Dataset

    from collab_seg.data.base import Source
    from collab_seg.training.data import data_state

    cells = [{"path": f"/a/{number}.png", "bytes": None} for number in range(10**6)]
    rows = Dataset.from_dict({"image": cells, "label": cells})
    source = Source(
        "many",
        "",
        ("a", "b"),
        ((0, 0, 0), (1, 1, 1)),
        (),
        {"train": None},
        lambda root, split: rows,
    )

    monkeypatch.setattr("collab_seg.data.scenes.undecoded", lambda dataset: dataset)
    began = time.perf_counter()
    whole = data_state(tiny_config(data="many").data, source)
    seconds = time.perf_counter() - began
    part = data_state(dataclasses.replace(tiny_config(data="many").data, split="train/2"), source)
    assert whole["images"] == 10**6 and part["images"] == 500_000 and whole != part and seconds < 20


# words under a table


def test_classes_without_a_score_are_explained():
    truth, guess = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 0, 0, 3]])
    counts = {way: Confusion(4) for way in ("cnn", "vit", "average")}
    for count in counts.values():
        count.update(guess, truth)
    from collab_seg.data.base import Source

    source = Source("x", "", ("sky", "person", "boat", "car"), ((0, 0, 0),) * 4, (), {}, None)
    notes = score_notes({way: count.score() for way, count in counts.items()}, source, "val")
    assert notes[0].startswith(
        "not in the truth of val: boat, car; such a class has no IoU, or 0.0 where it was predicted"
    )
    assert notes[1:] == [
        "never predicted by the CNN: person",
        "never predicted by the ViT: person",
        "never predicted by their average: person",
        "what to try: rare classes need more --steps, or --class-balance 0.5, which counts them more",
    ]
    wrong = Confusion(4)
    wrong.update(torch.tensor([[1, 1, 0, 0]]), truth)
    said = score_notes(
        dict.fromkeys(("cnn", "vit", "average"), wrong.score()), source, "val", class_balance=0.5
    )
    assert (
        said[1] == "predicted by the CNN only in wrong places: sky, person"
        and said[-1] == "what to try: rare classes need more --steps"
    )
    fine = Confusion(2)
    fine.update(torch.tensor([[0, 1]]), torch.tensor([[0, 1]]))
    assert score_notes(dict.fromkeys(("cnn", "vit", "average"), fine.score()), source, "val") == []


def test_the_sentence_stands_under_the_table_and_no_file_has_it(tiny_run, capsys):
    assert cli.main(["eval", str(tiny_run), "--no-progress"]) == 0
    said = capsys.readouterr().out
    assert said.index("pixel accuracy") < said.index("never predicted by the CNN")
    rows = json.loads((tiny_run / "scores_toyscapes_val.json").read_text())
    assert {"data", "split", "method", "student", "seed", "steps", "miou"} <= rows[
        0
    ].keys() and "predicted" not in json.dumps(rows)


@pytest.mark.parametrize("split", ["val/50", "train/200"])
def test_scores_of_a_part_of_a_split_are_one_file(tiny_run, split):
    assert cli.main(["eval", str(tiny_run), "--split", split, "--no-progress"]) == 0
    path = tiny_run / f"scores_toyscapes_{split.replace('/', '-')}.json"
    assert json.loads(path.read_text())[0]["split"] == split and not [
        path for path in tiny_run.iterdir() if path.is_dir()
    ]
    path.unlink()


# Ctrl-C, and a home that cannot be written


def interrupted(arguments, ready, tmp_path, presses=1):
    """What a command says that got Ctrl-C once `ready` is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "collab_seg", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    deadline = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


def test_a_second_press_says_how_to_go_on(tmp_path):
    root = own_photos(tmp_path / "mine")
    slow = tmp_path / "run" / "state.json"
    code, said = interrupted(
        [
            "train",
            "--data",
            "folder",
            "--root",
            root,
            "--steps",
            100_000,
            "--batch-size",
            64,
            "--save-every",
            1,
            "--crop",
            "96",
            "128",
            "--out",
            tmp_path / "run",
            "--no-progress",
        ],
        slow.exists,
        tmp_path,
        presses=2,
    )
    assert (
        code in (130, 128 + signal.SIGINT)
        and f"collab-seg train --resume {tmp_path / 'run'}" in said
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda run: Train(resume=str(run)), "the run is finished; score it with: collab-seg eval"),
        (lambda run: Train(out=str(run / "none")), "nothing was written"),
        (lambda run: Eval(str(run)), "score it with: collab-seg eval"),
        (lambda run: Predict(str(run), ("a.png",), out="seen"), "each file in seen is whole"),
        (lambda run: Study("x.toml"), "the same command goes on"),
        (lambda run: Reproduce(str(run)), "the new run was thrown away"),
        (lambda run: DataCheck("camvid"), "the same command starts again"),
    ],
)
def test_each_command_says_what_an_interrupt_leaves(tiny_run, monkeypatch, capsys, make, said):
    command = make(tiny_run)
    monkeypatch.setattr(type(command), "run", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(cli, "parse", lambda arguments: command)
    assert cli.main(["x"]) == 130
    error = capsys.readouterr().err
    assert said in error and error.strip().count("\n") == 0


def test_a_home_that_cannot_be_written_names_the_variable(tmp_path):
    from collab_seg.data.parquet import convert
    from collab_seg.data.sources import open_source

    root = own_photos(tmp_path / "mine")
    convert(
        open_source(ImageConfig(data="folder", root=str(root))),
        root,
        tmp_path / "packed",
        progress=False,
    )
    around = {
        name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))
    }
    done = started(
        "data",
        "check",
        "hf",
        "--root",
        tmp_path / "packed",
        env=around | {"HOME": "/dev/null/nowhere"},
    )
    assert (
        done.returncode == 2
        and "HF_HOME=DIR" in done.stderr
        and done.stderr.count("collab-seg:") == 1
    ), done.stderr
    done = started(
        "data",
        "check",
        "hf",
        "--root",
        tmp_path / "packed",
        env=around | {"HOME": "/dev/null/nowhere", "HF_HOME": str(tmp_path / "hf")},
    )
    assert done.returncode == 0, done.stderr
