"""Studies: killed at any moment, shared by processes, in shards, on a cluster's executor; runs done again; mistakes."""

import csv
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import DEVICE, survives
from PIL import Image

from collab_seg.core import UserError
from collab_seg.studies.work import run_study
from collab_seg.use.cli import main

STUDIES = Path(__file__).parent.parent / "studies"
HEAD = f"""name = "tiny"
preset = "pocket"
about = "Six tiny images."
[set]
students.cnn = "test_resnet"
data.size = [32, 48]
data.crop = [32, 48]
optim.batch_size = 2
optim.device = "{DEVICE}"
optim.steps = 8
"""
RUNS = """[[runs]]
methods = ["alone", "pixel"]
seeds = [0, 1]
"""
TIMING = {
    "seconds",
    "images_per_s",
    "peak_mb",
    "threads",
    "commit",
}  # somebody may commit while the tests run
PROCESSES = multiprocessing.get_context(
    "forkserver"
)  # its children have PyTorch already and start at once
PROCESSES.set_forkserver_preload(
    ["collab_seg.studies.work", "collab_seg.use.cli", "accelerate", "datasets"]
)


def figures(out):
    """The rows of both tables without what never is the same twice."""
    tables = {}
    for name in ("tiny.csv", "tiny_curves.csv"):
        with open(out / name, newline="") as file:
            tables[name] = [
                {key: value for key, value in row.items() if key not in TIMING}
                for row in csv.DictReader(file)
            ]
    return tables


def study_process(arguments, log, work_log=None, kill_at=None):
    """What a child does: a command; it may note what it works on, or die at its n-th file."""
    import torch

    from collab_seg.studies import runs

    torch.set_num_threads(1)
    os.setsid()
    sys.stdout = sys.stderr = open(log, "a", buffering=1)
    if work_log:
        do_run = runs.do_run

        def noted(study, run, *rest):
            with open(work_log, "a") as file:
                file.write(f"{run.folder}\n")
            do_run(study, run, *rest)

        runs.do_run = noted
    if kill_at:
        replace, count = os.replace, iter(range(1, 10**6))

        def deadly(*paths):
            number = next(count)
            if number == kill_at and kill_at % 2:
                os.kill(os.getpid(), signal.SIGKILL)  # the new file is written, but has no name yet
            replace(*paths)
            if number == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        os.replace = deadly
    sys.exit(main([str(each) for each in arguments]))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a data set of six images, and a study of four runs."""
    place = tmp_path_factory.mktemp("study")
    generator = np.random.default_rng(0)
    for index in range(6):
        split = "val" if index < 2 else "train"
        for part, pixels in (
            (split, generator.integers(0, 256, (36, 48, 3))),
            (f"{split}annot", generator.integers(0, 12, (36, 48))),
        ):
            (place / "data" / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(place / "data" / part / f"{index}.png")
    (place / "tiny.toml").write_text(HEAD + RUNS)
    return place


@pytest.fixture
def start(place, tmp_path):
    """Start the study in a process: `start(*flags)`; it has `arguments`, and `said()` is what it printed."""
    begun = []

    def start(*flags, out=None, file=None, **options):
        log = tmp_path / f"log{len(begun)}"
        arguments = [
            "study",
            file or place / "tiny.toml",
            "--root",
            place / "data",
            "--out",
            out or tmp_path / "out",
            "--no-progress",
            *flags,
        ]
        process = PROCESSES.Process(target=study_process, args=(arguments, log), kwargs=options)
        process.start()
        process.said = log.read_text
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()


def ended(process, seconds=300):
    """The exit code of a process, which must end."""
    process.join(seconds)
    assert process.exitcode is not None, process.said()
    return process.exitcode


@pytest.fixture(scope="module")
def whole(place):
    """The study done without any interruption, in this process."""
    import torch

    torch.set_num_threads(1)
    code = main(
        [
            "study",
            str(place / "tiny.toml"),
            "--root",
            str(place / "data"),
            "--out",
            str(place / "whole"),
            "--no-progress",
        ]
    )
    assert code == 0
    return place / "whole"


def wait_for(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_an_uninterrupted_study_has_three_rows_a_run_in_the_order_of_the_plan(whole):
    rows = figures(whole)["tiny.csv"]
    expected = [
        (method, seed, student)
        for seed in "01"
        for method in ("alone", "pixel")
        for student in ("cnn", "vit", "average")
    ]
    assert [(row["method"], row["seed"], row["student"]) for row in rows] == expected
    assert [*rows[0]][:7] == ["study", "data", "split", "method", "student", "seed", "steps"]
    curves = figures(whole)["tiny_curves.csv"]
    assert (
        len(curves) == 4 * 8
        and curves[0]["pixel_share_nobody"] == "" != curves[8]["pixel_share_nobody"]
    )


def test_a_study_that_is_done_judges_the_bars_of_its_file(whole, place, tmp_path, capsys):
    out, file = tmp_path / "out", tmp_path / "tiny.toml"
    shutil.copytree(whole, out)
    bars = """[[bars]]
method = "pixel"
student = "cnn"
least = 99.0
"""
    file.write_text(HEAD + RUNS + bars)
    asked = ["study", str(file), "--root", str(place / "data"), "--out", str(out), "--no-progress"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if "pixel - alone, cnn" in line)
    assert "+99.0" in line and line.split()[-1] == "no"
    file.write_text(HEAD + RUNS + bars.replace("pixel", "hfd"))
    assert main(asked) == 2
    assert "a method in bars 1 is 'hfd'; known: alone, pixel" in capsys.readouterr().err


def test_killed_at_random_moments_no_row_is_lost_or_doubled(whole, start, tmp_path):
    moments, out = random.Random(0), tmp_path / "out"
    for _ in range(4):
        process = start()
        wait_for(lambda: (out / ".study").exists() or not process.is_alive())
        process.join(moments.uniform(0, 2))
        process.kill()
        process.join()
    with survives("kill -9 of a study", 4):
        assert ended(start()) == 0
        assert figures(out) == figures(whole)


def test_killed_at_every_write_no_row_is_lost_or_doubled(whole, start, tmp_path):
    """The n-th process dies at its n-th file, just before or after it gets its name, until one comes through."""
    for number in range(1, 60):
        code = ended(start(kill_at=number))
        if code == 0:
            break
        assert code == -signal.SIGKILL
    with survives("kill -9 of a study", number - 1):
        assert number > 6 and figures(tmp_path / "out") == figures(whole)
        left = [
            path.name
            for path in (tmp_path / "out").glob("*-s*/*")
            if path.name.startswith((".", "state"))
        ]
        assert left == []


def test_sigterm_stops_with_a_checkpoint_and_the_same_command_goes_on(whole, start, tmp_path):
    process = start()
    wait_for(lambda: list((tmp_path / "out").glob("*/state.json")) or not process.is_alive())
    with survives("Ctrl-C or SIGTERM"):
        os.kill(process.pid, signal.SIGTERM)
        assert ended(process) == 143 and "go on with the same command" in process.said(), (
            process.said()
        )
        assert ended(start()) == 0 and figures(tmp_path / "out") == figures(whole)


def test_two_processes_share_a_folder_and_do_each_run_once(whole, start, tmp_path):
    both = [start(work_log=tmp_path / "work") for _ in range(2)]
    assert [ended(process) for process in both] == [0, 0]
    assert sorted((tmp_path / "work").read_text().split()) == [
        "alone-s0",
        "alone-s1",
        "pixel-s0",
        "pixel-s1",
    ]
    assert figures(tmp_path / "out") == figures(whole)


def test_shards_divide_the_plan(whole, start, tmp_path):
    out = tmp_path / "out"
    assert ended(start("--shard", "2/3")) == 0
    assert sorted(path.name for path in out.glob("*-s*")) == ["pixel-s0"]
    others = [start("--shard", shard) for shard in ("1/3", "3/3")]
    assert [ended(process) for process in others] == [0, 0]
    assert figures(out) == figures(whole)


def children(process: int) -> list[int]:
    """The processes whose parent this one is."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        found += [int(path.parent.name)] * (parent == process)
    return found


def is_alive(process: int) -> bool:
    """A zombie that nobody has waited for yet is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="there is no /proc to find the workers in"
)
def test_workers_stop_when_their_parent_is_killed_and_their_work_is_kept(
    whole, place, start, tmp_path
):
    from collab_seg.studies.plan import read_study
    from collab_seg.studies.state import is_running, standings

    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "collab_seg",
        "study",
        place / "tiny.toml",
        "--root",
        place / "data",
        "--out",
        out,
        "--jobs",
        "2",
    ]
    study = read_study(place / "tiny.toml", place / "data")
    with open(tmp_path / "said", "w") as said:
        process = subprocess.Popen(
            [str(each) for each in command],
            stdout=said,
            stderr=said,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    try:
        wait_for(lambda: list(out.glob("*/state.json")) or process.poll() is not None)
        workers = children(process.pid)
        assert len(workers) == 2
    finally:
        process.kill()
    process.wait()
    wait_for(
        lambda: not any(is_alive(worker) for worker in workers)
    )  # one of them may still have been starting
    assert not any(is_running(out, run) for run in study.runs)
    stood = [state.word for state in standings(study, out)]
    assert "waiting" in stood or "begun" in stood, (stood, (tmp_path / "said").read_text())
    time.sleep(1)
    assert stood == [state.word for state in standings(study, out)], (
        "a worker goes on without its parent"
    )
    assert ended(start()) == 0 and figures(out) == figures(whole)


def test_submitit_does_the_same_study(whole, place, tmp_path, capsys):
    pytest.importorskip("submitit", reason="submitit, the extra `cluster`, is not installed")
    out = tmp_path / "out"
    code = main(
        [
            "study",
            str(place / "tiny.toml"),
            "--root",
            str(place / "data"),
            "--out",
            str(out),
            "--launcher",
            "submitit",
            "--cluster",
            "local",
            "--jobs",
            "2",
            "--job",
            "timeout_min=10",
            "--no-progress",
        ]
    )
    assert code == 0, capsys.readouterr().err
    assert figures(out) == figures(whole)
    assert "sent 2 jobs" in capsys.readouterr().out


def test_a_run_that_fails_is_named_and_does_not_stop_the_others(place, tmp_path, capsys):
    file = tmp_path / "tiny.toml"
    file.write_text(
        HEAD.replace("steps = 8", "steps = 14")
        + "optim.warmup = 0.0\n"
        + "[[runs]]\nmethods = ['alone']\nseeds = [0]\nvary.lr = [1e20, 1e-3]\n"
    )
    arguments = [
        "study",
        str(file),
        "--root",
        str(place / "data"),
        "--out",
        str(tmp_path / "out"),
        "--no-progress",
    ]
    for _ in range(2):  # it is tried again, and fails again
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert (
            "1 of 2 runs failed: alone_lr=1e+20-s0: at step" in said
            and len(said.strip().splitlines()) == 1
        ), said
    assert [row["method"] for row in figures(tmp_path / "out")["tiny.csv"]] == 3 * [
        "alone lr=0.001"
    ]
    assert main([*arguments, "--dry-run"]) == 0
    assert "failed" in (said := capsys.readouterr().out) and "is not finite" in said


def test_a_dry_run_writes_nothing_and_says_what_it_will_cost(place, tmp_path, capsys):
    assert (
        main(
            [
                "study",
                str(place / "tiny.toml"),
                "--root",
                str(place / "data"),
                "--out",
                str(tmp_path / "out"),
                "--dry-run",
            ]
        )
        == 0
    )
    assert (
        "4 runs, 0 done, 4 to do: about" in capsys.readouterr().out
        and not (tmp_path / "out").exists()
    )


def test_rows_of_another_study_file_are_not_mixed_in(whole, place, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(whole, out)
    changed = tmp_path / "tiny.toml"
    arguments = [
        "study",
        str(changed),
        "--root",
        str(place / "data"),
        "--out",
        str(out),
        "--no-progress",
    ]
    before = (out / "tiny.csv").read_bytes()
    for rid in (lambda: None, lambda: (out / "tiny.csv").unlink()):
        rid()
        changed.write_text(HEAD.replace("steps = 8", "steps = 9") + RUNS)
        assert main(arguments) == 2 and "the study file was changed" in capsys.readouterr().err
    changed.write_text(
        HEAD + RUNS + "[[runs]]\nmethods = ['alone']\nseeds = [2]\n"
    )  # more runs are welcome
    assert main(arguments) == 0
    rows = figures(out)["tiny.csv"]
    assert len(rows) == 15 and rows[:12] == figures(whole)["tiny.csv"]
    assert (out / "tiny.csv").read_bytes().startswith(before)  # made again from the runs' folders


def test_runs_on_other_images_or_another_split_are_not_mixed_in(whole, place, tmp_path, capsys):
    """The fingerprint of settings does not know a folder's path: the images say it."""
    out, study, data = tmp_path / "out", tmp_path / "tiny.toml", tmp_path / "data"
    shutil.copytree(whole, out)
    shutil.copytree(place / "data", data)
    study.write_text(HEAD + RUNS)
    arguments = ["study", str(study), "--root", str(data), "--out", str(out), "--no-progress"]
    assert main(arguments) == 0  # the same images elsewhere
    for path in [*(data / "train").iterdir(), *(data / "trainannot").iterdir()]:
        path.rename(path.with_name("other_" + path.name))
    capsys.readouterr()
    assert main(arguments) == 2
    assert "the data of" in (said := capsys.readouterr().err) and "another --out" in said
    study.write_text('score = "train"\n' + HEAD + RUNS)
    arguments[3] = str(place / "data")
    assert main(arguments) == 2 and "were scored on val" in capsys.readouterr().err


def spoil_metrics(run):
    text = (run / "metrics.csv").read_text().splitlines(keepends=True)
    last = text[-1].rstrip("\n")
    text[-1] = last[:-1] + ("1" if last[-1] == "2" else "2") + "\n"
    (run / "metrics.csv").write_text("".join(text))


def spoil_scores(run):
    rows = json.loads((run / "scores_camvid_val.json").read_text())
    rows[1]["iou_road"] += 0.01
    (run / "scores_camvid_val.json").write_text(json.dumps(rows))


def spoil_config(run):
    config = json.loads((run / "config.json").read_text())
    config["optim"]["lr"] *= 2
    (run / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "spoil, code, needed",
    [
        (
            lambda run: None,
            0,
            "the same to the last digit: metrics.csv, scores_camvid_val.json, cnn.safetensors, vit.safetensors\naround",
        ),
        (spoil_metrics, 1, "different: metrics.csv: "),
        (spoil_scores, 1, "different: scores_camvid_val.json: iou_road of the vit was "),
        (spoil_config, 1, "different: metrics.csv: lr in row 0 was "),
        (lambda run: (run / "summary.json").unlink(), 2, "finished"),
    ],
    ids=["untouched", "metrics", "scores", "config", "unfinished"],
)
def test_reproduce_says_what_is_the_same_and_what_is_not(
    spoil, code, needed, whole, tmp_path, capsys
):
    run = tmp_path / "run"
    shutil.copytree(whole / "pixel-s1", run)
    spoil(run)
    assert main(["reproduce", str(run), "--no-progress"]) == code
    said = capsys.readouterr()
    assert needed in said.out + said.err, said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_root_may_be_a_path_with_workers_and_when_a_run_is_done_again(whole, place, tmp_path):
    """Both hand the root on as JSON, to a worker or in config.json."""
    from collab_seg.studies.reproduce import reproduce

    run_study(place / "tiny.toml", tmp_path / "out", root=place / "data", jobs=2, progress=False)
    assert figures(tmp_path / "out") == figures(whole)
    assert "the same to the last digit" in str(reproduce(whole / "pixel-s1", root=place / "data"))


def test_finished_runs_scored_on_another_split_have_rows_of_that_split(whole, place, tmp_path):
    """The rows of `val` stood in the table of a study that scores on `test`."""
    for part in ("", "annot"):
        shutil.copytree(place / f"data/train{part}", place / f"data/test{part}", dirs_exist_ok=True)
    out = shutil.copytree(whole, tmp_path / "out")
    for name in ("again", "tiny"):  # another name, and the same one with its table gone
        text = (
            (HEAD + RUNS).replace('"tiny"', f'"{name}"').replace("[set]", 'score = "test"\n[set]')
        )
        (tmp_path / "again.toml").write_text(text)
        (out / "tiny.csv").unlink(missing_ok=True)
        run_study(tmp_path / "again.toml", out, root=place / "data", progress=False)
        with open(out / f"{name}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {(row["study"], row["split"]) for row in rows} == {(name, "test")} and len(
            rows
        ) == 12


def test_other_first_weights_of_the_same_name_are_noticed(place, tmp_path, capsys):
    """Runs that began with other weights stood under one label in one table."""
    from safetensors.torch import load_file, save_file

    begun = place / "whole/alone-s0/cnn.safetensors"
    shutil.copy(begun, tmp_path / "first.safetensors")
    given = f"students.cnn_weights = '{tmp_path / 'first.safetensors'}'\n"
    text = HEAD + given + RUNS.replace('"alone", "pixel"', '"alone"')
    (tmp_path / "tiny.toml").write_text(text.replace("[0, 1]", "[0]"))
    run_study(tmp_path / "tiny.toml", tmp_path / "out", root=place / "data", progress=False)
    (tmp_path / "tiny.toml").write_text(text)
    save_file({k: v + 1 for k, v in load_file(begun).items()}, tmp_path / "first.safetensors")
    with pytest.raises(UserError, match="the cnn of .*alone-s0 began with other weights"):
        run_study(tmp_path / "tiny.toml", tmp_path / "out", root=place / "data", progress=False)


def test_all_runs_of_a_study_say_their_labels_if_one_has_images_without(place, tmp_path):
    """Its second run was trained to the end, and could not be written down."""
    mixed = """[[runs]]
methods = ["alone"]
seeds = [0]
[[runs]]
methods = ["own_mean"]
seeds = [0]
set.unlabelled = "rest"
set.labelled = "2"
label = "own_mean"
"""
    (tmp_path / "tiny.toml").write_text(HEAD + mixed)
    run_study(tmp_path / "tiny.toml", tmp_path / "out", root=place / "data", progress=False)
    with open(tmp_path / "out/tiny.csv", newline="") as file:
        assert [row["labels"] for row in csv.DictReader(file)] == ["4"] * 3 + ["2"] * 3


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.toml")), ids=lambda file: file.stem)
def test_the_studies_that_come_along_have_a_plan(file):
    from collab_seg.studies.plan import read_study

    study = read_study(file)
    assert study.name == file.stem and study.about and len(study.runs) >= 4


ONE = "[[runs]]\nmethods = ['alone']\nseeds = [0]\n"
MISTAKES = {
    "not TOML": ("name = ", "is not TOML"),
    "no name": ("preset = 'toy'\n" + ONE, "name is ''"),
    "a name that is a path": ("name = '../x'\npreset = 'toy'\n" + ONE, "letters, digits"),
    "no preset": ("name = 'x'\n" + ONE, "toy, pocket, few, camvid"),
    "unknown key": ("title = 'x'\n" + HEAD + ONE, "'title'; known: name, about"),
    "no runs": (HEAD, "there are no runs"),
    "no methods": (HEAD + "[[runs]]\nseeds = [0]\n", "runs 1: methods is empty"),
    "empty seeds": (HEAD + "[[runs]]\nmethods = ['alone']\nseeds = []\n", "runs 1: seeds is empty"),
    "seeds are text": (
        HEAD + "[[runs]]\nmethods = ['alone']\nseeds = ['0']\n",
        "runs 1.seeds is ['0']",
    ),
    "methods are no list": (
        HEAD + "[[runs]]\nmethods = 'alone'\nseeds = [0]\n",
        "runs 1.methods is 'alone'",
    ),
    "runs is no list": ("runs = 3\n" + HEAD, "runs is 3"),
    "unknown method": (HEAD + ONE.replace("alone", "colab"), "'colab'; known: alone"),
    "unknown key of a group": (HEAD + ONE + "steps = 3\n", "'steps'; known: methods"),
    "the same run twice": (HEAD + ONE + ONE, "same name; needed: each run once"),
    "the same settings under two labels": (
        HEAD + ONE + ONE + "label = 'other'\n",
        "same settings; needed: each run once",
    ),
    "a label for two methods": (HEAD + RUNS + "label = 'both'\n", "label is 'both' for 2 methods"),
    "a label with two meanings": (
        HEAD + ONE + ONE.replace("[0]", "[1]") + "set.margin = 0.5\nlabel = 'alone'\n",
        "two different settings",
    ),
    "unknown section": (
        HEAD + "train.steps = 3\n" + ONE,
        "'train'; known: data, students, distill, optim",
    ),
    "unknown setting": (HEAD + "optim.stepz = 3\n" + ONE, "'stepz'; known: "),
    "a setting of the wrong type": (
        HEAD.replace("= 8", "= 'ten'") + ONE,
        "set.optim.steps is 'ten'; needed: int",
    ),
    "the seed as a setting": (HEAD + "optim.seed = 3\n" + ONE, "'seed'; known: "),
    "an impossible setting": (
        HEAD + ONE + "set.temperature = 0.0\n",
        "temperature is 0.0; needed: more than 0",
    ),
    "a label of two words": (HEAD + ONE + "label = 'slow peers'\n", "one word, without a blank"),
    "a default that is none": (
        HEAD + "distill.start = 0.2\n" + ONE + "set.start = 0.0\n",
        "the study has start 0.2 for all runs",
    ),
    "vary without values": (HEAD + ONE + "vary.margin = []\n", "vary.margin is []"),
    "vary an unknown setting": (HEAD + ONE + "vary.margn = [1.0]\n", "'margn'; known: "),
    "unknown split": (
        HEAD.replace("[set]", "score = 'vall'\n[set]") + ONE,
        "'vall'; known: train, val",
    ),
    "unknown data set": (HEAD + "data.data = 'camvit'\n" + ONE, "'camvit'; known: "),
    "unknown CNN": (HEAD.replace("test_resnet", "resnet") + ONE, "'resnet'"),
    "two data sets": (HEAD + ONE + "vary.data = ['camvid', 'toyscapes']\n", "different classes"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_study_file_is_one_line_and_exit_code_2(
    name, place, tmp_path, capsys, monkeypatch
):
    text, needed = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text(text)
    assert main(["study", "bad.toml", "--root", str(place / "data"), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert needed in said and len(said.strip().splitlines()) == 1, said
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"], (
        "a mistake must leave nothing behind"
    )


@pytest.mark.parametrize(
    "flags, needed",
    [
        (["--shard", "0/2"], "i/n"),
        (["--shard", "half"], "i/n"),
        (["--jobs", "0"], "jobs is 0"),
        (["--root", "nowhere"], "nowhere"),
        (["--out", "tiny.toml"], "is a file"),
        (["--launcher", "submitit", "--shard", "1/2"], "no --shard"),
        (["--launcher", "submitit", "--job", "gpus"], "NAME=VALUE"),
        (["--launcher", "submitit", "--cluster", "local", "--job", "x=1"], "submitit"),
    ],
)
def test_a_mistake_in_the_flags_is_one_line_and_exit_code_2(
    flags, needed, place, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(HEAD + RUNS)
    root = [] if "--root" in flags else ["--root", str(place / "data")]
    assert main(["study", "tiny.toml", *root, *flags]) == 2
    said = capsys.readouterr().err
    assert needed in said and len(said.strip().splitlines()) == 1, said
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"], (
        "a mistake must leave nothing behind"
    )


RESULTS = STUDIES.parent / "results" / "studies"
MEASURED = sorted(p.stem for p in STUDIES.glob("*.toml") if (RESULTS / f"{p.stem}.csv").exists())
MEASURED.remove("camvid_beyond")  # its first rows are from a script, as its comment says


@pytest.mark.parametrize("study", MEASURED)
def test_a_study_still_says_the_settings_that_its_rows_were_measured_with(study):
    from collab_seg.config import config_sha
    from collab_seg.studies.plan import read_study

    with open(RESULTS / f"{study}.csv", newline="") as file:
        rows = [
            (row["method"], int(row["seed"]), row["config_sha"]) for row in csv.DictReader(file)
        ]
    runs = read_study(STUDIES / f"{study}.toml").runs
    planned = {(run.label, run.config.optim.seed): config_sha(run.config) for run in runs}
    known = [row for row in rows if row[:2] in planned]
    assert known and [row for row in known if planned[row[:2]] != row[2]] == []
