"""The house: rooms that know only what they may, one place for each thing, and what was written before still opens."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import house
import pytest
import torch
from conftest import tiny_config
from safetensors.torch import save_file

from collab_seg.core import Directed
from collab_seg.losses.base import DistillationLoss, masked_mean
from collab_seg.losses.methods import METHODS, TERMS, add_loss
from collab_seg.training.loop import train

ROOT = Path(__file__).resolve().parent.parent
OLD = ROOT / "tests" / "data" / "run_0.1.0"


@pytest.fixture(scope="module")
def measured():
    table, notes = house.measure()
    return {line[0]: line[1] for line in table}, notes


def test_no_module_reaches_itself_and_none_looks_into_a_later_room(measured):
    _, notes = measured
    assert notes["circles"] == [] and notes["imports of a room that must not be known"] == []


def test_the_house_keeps_its_sizes(measured):
    """What has been reached stays; tools/house.py prints all of it."""
    values, notes = measured
    assert values["lines a function, most"] <= 40, notes["lines a function, most"]
    assert values["lines over 100 columns"] == 0, notes["lines over 100 columns"]
    assert values["lines a module, most"] <= 300, notes["lines a module, most"]
    long = notes["lines an exported cell, most"]  # such as "04_hfd 32: class ..."
    assert not [note for note in long if note[0].isdigit()], "a cell of a chapter is too long"
    assert len(long) <= 26, long
    assert values["public definitions used and asserted within two cells, %"] >= 95
    assert values["parameters of public functions that are documented, %"] >= 99
    assert values["public names"] <= 310 and values["public names in collab_seg"] <= 45


def test_a_circle_and_a_wrong_way_are_found():
    assert house.circles({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == ["a", "b"]
    found = house.wrong_way({"losses.hfd": {"data.views", "core"}, "data.check": {"training.run"}})
    assert found == ["losses.hfd uses data.views", "data.check uses training.run"]


def test_the_losses_need_pytorch_and_core_and_nothing_else():
    command = [sys.executable, "-X", "importtime", "-c", "import collab_seg.losses"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    ours = {name for name in loaded if name.startswith("collab_seg.")}
    assert all(name in ("collab_seg.core", "collab_seg.losses") or name.startswith("collab_seg.losses.")
               for name in ours), ours  # fmt: skip
    for name in ("timm", "datasets", "PIL", "pandas", "torchvision"):
        assert not any(each == name or each.startswith(f"{name}.") for each in loaded), name


ALONE = """
import torch
from alone.core import StudentOutput
from alone.losses import HFD, PixelBSD, RegionBSD
torch.manual_seed(0)
def student(low, high):
    return StudentOutput(torch.randn(2, low, 8, 8), torch.randn(2, high, 8, 8), torch.randn(2, 5, 8, 8, requires_grad=True))
target = torch.randint(0, 5, (2, 32, 32))
for loss in (HFD(4, 6), RegionBSD(6, 8), PixelBSD()):
    to_cnn, to_vit, maps = loss(student(4, 6), student(6, 8), target)
    print(type(loss).__name__, bool((to_cnn + to_vit).isfinite()))
import sys
print(sorted(name for name in sys.modules if name.startswith("collab_seg")))
"""


def test_a_copy_of_the_losses_and_core_alone_runs(tmp_path):
    package = tmp_path / "alone"
    shutil.copytree(ROOT / "collab_seg" / "losses", package / "losses")
    shutil.copy(ROOT / "collab_seg" / "core.py", package)
    (package / "__init__.py").write_text("")
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["HFD", "True", "RegionBSD", "True", "PixelBSD", "True", "[]"]


def test_only_one_module_knows_the_names_of_a_runs_files():
    names = re.compile(r'"(config\.json|summary\.json|state\.json|environment\.json|data\.json|metrics\.csv|'
                       r'speed\.csv|failed\.json|rows\.json|pictures\.png|steps\.json|scores\.csv)"')  # fmt: skip
    for path in (ROOT / "collab_seg").rglob("*.py"):
        where = path.relative_to(ROOT / "collab_seg").as_posix()
        if where not in ("training/files.py", "data/hub.py"):  # a saved data set has a state.json
            assert not names.search(path.read_text()), where


# one place for each task


def test_a_loss_is_one_cell(tmp_path):
    class Squares(DistillationLoss):
        selective = False

        def directed(self, both):
            a, b = both.cnn.logits, both.vit.logits
            ways = [(own - peer.detach()).square().mean(1) for own, peer in ((a, b), (b, a))]
            maps = dict.fromkeys(("to_cnn", "to_vit", "valid"), both.valid)
            return Directed(*(masked_mean(way, both.valid) for way in ways), maps)

    add_loss("squares", 0.5, lambda d, cnn, vit: Squares(), "logits", "everywhere", "this test")
    try:
        run = train(tiny_config("squares"), tmp_path / "run", progress=False)
        assert "squares_to_cnn" in (run / "metrics.csv").read_text().splitlines()[0]
    finally:
        TERMS.pop("squares"), METHODS.pop("squares")


def test_a_data_set_is_one_cell(tmp_path):
    from collab_seg.data.base import SOURCES, Source, register
    from collab_seg.data.sources import get_source

    toy = get_source("toyscapes")
    register(
        Source("twin", "the same", toy.classes, toy.palette, toy.void_ids, toy.splits, toy.load)
    )
    try:
        assert train(tiny_config(data="twin"), tmp_path / "run", progress=False).is_dir()
    finally:
        SOURCES.pop("twin")


def test_an_optimiser_is_one_cell(tmp_path):
    import dataclasses

    from collab_seg.training.optim import OPTIMISERS, SCHEDULES, Optimiser

    OPTIMISERS["rms"] = Optimiser(torch.optim.RMSprop, frozenset({"step", "square_avg"}))
    SCHEDULES["flat"] = lambda left: 1.0
    config = tiny_config(steps=4)
    config = dataclasses.replace(
        config, optim=dataclasses.replace(config.optim, cnn_optimizer="rms", schedule="flat")
    )
    try:
        whole = train(config, tmp_path / "whole", progress=False)
        again = train(config, tmp_path / "again", progress=False, save_every=2)
        for name in ("cnn.safetensors", "metrics.csv"):
            assert (whole / name).read_bytes() == (again / name).read_bytes()
    finally:
        OPTIMISERS.pop("rms"), SCHEDULES.pop("flat")


# what was written before the rooms


def filled(kind, shape, generator):
    """A tensor of this form; sums of squares must not be negative, and steps are whole."""
    if kind in ("int64", "uint8", "bool"):
        return torch.full(shape, 3, dtype=getattr(torch, kind))
    return torch.rand(shape, generator=generator, dtype=getattr(torch, kind)) * 0.1 + 0.01


def test_an_unfinished_run_of_old_goes_on(tmp_path):
    """Its folder, the names of all its tensors and its log are those that release 0.1.0 wrote; the numbers are drawn."""
    run = shutil.copytree(OLD, tmp_path / "run")
    generator = torch.Generator().manual_seed(0)
    names = json.loads((run / "checkpoint.json").read_text())
    (run / "checkpoint.json").unlink()
    state = json.loads((run / "state.json").read_text())
    tensors = {name: filled(kind, shape, generator) for name, (kind, shape) in names.items()}
    save_file(tensors, run / state["file"])
    from collab_seg.training.run import Run

    with pytest.warns(UserWarning, match="resumed under other conditions"):
        train(Run(run).config, run, resume=True, progress=False)
    rows = (run / "metrics.csv").read_text().splitlines()
    before = (OLD / "metrics.csv").read_text().splitlines()
    assert len(rows) == 7 and rows[: len(before)] == before
    assert (
        Run(run).finished
        and Run(run).kept_steps() == [2, 6][1:]
        and not (run / "state.json").exists()
    )


def test_finished_runs_of_old_are_scored_and_shown():
    """The small runs that come with the package were trained before there were rooms."""
    from collab_seg.training.evaluate import open_students
    from collab_seg.use.lessons import EXAMPLES, Snapshots

    ages = Snapshots(EXAMPLES / "collab")
    assert len(ages.steps) == 5 and ages.students(ages.steps[-1])[2].classes[0] == "sky"
    cnn, vit, learnt, config = open_students(ROOT / "nbs" / "assets" / "toy_pair")
    assert len(learnt.classes) == 10 and config.distill.method == "alone"


def test_settings_of_old_mean_what_they_meant():
    from collab_seg.config import config_sha
    from collab_seg.training.run import Run

    old = Run(OLD).config
    assert (
        config_sha(old) == "4fd1c4bb4efa"
        and old.distill.teacher == "peer"
        and not old.data.keeps_aspect
    )
