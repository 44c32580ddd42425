"""The benchmarks run, at their smallest; and what makes the kit fast stays so, without a clock."""

import subprocess
import sys

import pandas as pd
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from collab_seg.use import cli
from collab_seg.use.bench import BENCHES, NEEDS, _installed, draw_benches, placed, write_benches
from collab_seg.use.bench_base import bench_config
from collab_seg.use.bench_training import Trainer, random_batch, two_views, with_method
from collab_seg.use.bench_use import has_compiler
from collab_seg.use.measure import Setting

QUICK = Setting(rounds=1, quick=True)
COLUMNS = [
    "bench",
    "what",
    "against",
    "versions",
    "ratio",
    "bar",
    "met",
    "spread",
    "rounds",
    "machine",
    "commit",
]


@pytest.mark.parametrize("name", ["export"])  # notebooks kit/bench_* run the others
def test_bench_that_the_notebook_leaves_out(name, tmp_path):
    missing = [package for package in NEEDS[name] if not _installed(package)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    code = (
        "import sys\n"
        "from collab_seg.use.bench import Setting, run_benches\n"
        "quick = Setting(rounds=1, quick=True)\n"
        "run_benches([sys.argv[1]], quick, print).to_csv(sys.argv[2], index=False)"
    )
    # of its own: a worker of the tests need not live with three runtimes
    command = [sys.executable, "-X", "faulthandler", "-c", code, name, str(tmp_path / "table.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table.columns) == COLUMNS and set(table["met"]) <= {"yes", "no"}
    changes = table[table["what"].str.contains("mIoU")]
    rounded = changes["what"].str.contains("int8")
    assert len(changes) == 4 + has_compiler() and rounded.sum() == 2
    # a trained student scores the same in each form; in int8 nearly
    assert (changes["ratio"][~rounded] <= 0.1).all() and (changes["ratio"] <= 3).all()
    best = table[table["what"].str.contains("others")]
    assert len(best) == 4 and best["what"].str.contains("int8").sum() == 2
    for runtime in ("onnxruntime", "openvino"):
        assert best["what"].str.contains(runtime).all()


def test_a_picture_is_drawn_beside_the_table(tmp_path):
    """Also of one line, of a ratio of nothing, and of bars with units."""
    lines = [("a", "at most 1 s", 0.0, "yes"), ("b", "at least 2", 1.0, "no")]
    rows = [dict.fromkeys(COLUMNS, "step") | dict(zip(("what", "bar", "ratio", "met"), line))
            for line in lines]  # fmt: skip
    for count in (1, 2):
        path = write_benches(tmp_path / f"{count}.csv", pd.DataFrame(rows[:count]))
        assert draw_benches(path) == tmp_path / f"{count}.png"
        assert (tmp_path / f"{count}.png").read_bytes()[:4] == b"\x89PNG"
    assert placed(pd.DataFrame(rows))["better"].tolist() == [30.0, 0.5]


def test_lines_of_other_benches_are_kept(tmp_path):
    path, line = tmp_path / "bench.csv", dict.fromkeys(COLUMNS, "x")
    write_benches(
        path,
        pd.DataFrame([line | {"bench": "step", "ratio": 1}, line | {"bench": "data", "ratio": 2}]),
    )
    write_benches(
        path,
        pd.DataFrame([line | {"bench": "data", "ratio": 3}, line | {"bench": "loop", "ratio": 4}]),
    )
    table = pd.read_csv(path)
    assert list(table["bench"]) == ["step", "loop", "data"] and list(table["ratio"]) == [1, 4, 3]


@pytest.mark.parametrize(
    "words, said",
    [(["bench", "speed"], "bench is 'speed'"), (["bench", "loop", "--rounds", "0"], "rounds is 0")],
)
def test_mistakes_are_one_line(words, said, capsys):
    assert cli.main(words) != 0
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error


def test_quick_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if not _installed("torchmetrics"):
        pytest.skip("not installed: torchmetrics")
    assert not cli.main(["bench", "metrics", "--quick"])
    assert "nothing written" in capsys.readouterr().out and not list(tmp_path.iterdir())


class Shapes(TorchDispatchMode):
    "The shapes of all tensors that operations make."

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.seen += [
            tuple(x.shape)
            for x in (result if isinstance(result, (tuple, list)) else [result])
            if isinstance(x, torch.Tensor)
        ]
        return result


@pytest.fixture(scope="module")
def trainer():
    return Trainer(bench_config("pocket", 4, QUICK), 11)


def test_each_student_reads_a_batch_once(trainer):
    passes = []
    hooks = [
        student.encoder.register_forward_hook(lambda *_: passes.append(1))
        for student in (trainer.bare.cnn, trainer.bare.vit)
    ]
    trainer(*random_batch(trainer.config, 11))
    for hook in hooks:
        hook.remove()
    assert len(passes) == 2


@pytest.mark.parametrize("method", ["collab", "selective"])
def test_gradients_of_maps_come_back_with_channels_last(method):
    """Else every layer before them is slower: a slice of a batch gives them back with channels first."""
    trainer, layouts = Trainer(with_method(bench_config("pocket", 4, QUICK), method), 11), []

    def look(student, images, output):
        for x in (output.low, output.high):
            if x.requires_grad:
                x.register_hook(
                    lambda g: layouts.append(g.is_contiguous(memory_format=torch.channels_last))
                )

    for student in (trainer.bare.cnn, trainer.bare.vit):
        student.register_forward_hook(look)
    batch = random_batch(trainer.config, 11)
    trainer(*batch, *(two_views(*batch) if method == "selective" else ()))
    assert len(layouts) >= 4 and all(layouts)


def test_nothing_is_taught_at_label_size(trainer):
    """No term between the students makes a map of K classes at the size of the labels; the task
    losses do."""
    pair, (images, target) = trainer.bare.train(), random_batch(trainer.config, 11)
    cnn, vit = pair.cnn(images), pair.vit(images)
    whole = (len(images), 11, *target.shape[-2:])
    with Shapes() as shapes:
        for loss in pair.losses.values():
            result = loss(cnn, vit, target)
            (result.to_cnn + result.to_vit).backward(retain_graph=True)
    assert shapes.seen and whole not in shapes.seen
    with Shapes() as shapes:
        pair.terms(cnn, vit, target)
    assert whole in shapes.seen  # the test can see one


def test_every_bench_is_named_in_the_help(capsys):
    with pytest.raises(SystemExit):
        cli.main(["bench", "--help"])
    said = capsys.readouterr().out
    assert all(name in said for name in BENCHES)
