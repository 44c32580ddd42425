"""What the tests share: a tiny trained run, where CamVid is, and a count of the faults that were tried."""

import contextlib
import csv
import dataclasses
import os
import sys
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# gone when the tests are; processes of pytest-xdist share it
if "COLLAB_SEG_CACHE" not in os.environ:
    CACHE = tempfile.TemporaryDirectory(prefix="collab_seg_cache_", ignore_cleanup_errors=True)
    os.environ["COLLAB_SEG_CACHE"] = CACHE.name
DEVICE = os.environ.get("COLLAB_SEG_TEST_DEVICE", "cpu")  # auto: the tests train on a GPU
# flags of a run on ToyScapes that takes seconds, and of one on small pictures of any data
TINY = f"--preset toy --size 48 64 --crop 48 64 --batch-size 2 --device {DEVICE}".split()
SMALL = (
    "--size 32 48 --crop 32 48 --cnn mobilenetv2_050 --decoder-width 16 --head-width 16 "
    f"--steps 2 --batch-size 2 --device {DEVICE} --no-progress"
).split()
RELIABILITY: dict[str, list[int]] = {}  # fault -> how often tried, survived, something lost


def record(fault, tried, survived, lost):
    """Count what a test tried; the file that COLLAB_SEG_RELIABILITY names gets the sums, a line a fault."""
    RELIABILITY[fault] = [
        a + b for a, b in zip(RELIABILITY.get(fault, (0, 0, 0)), (tried, survived, lost))
    ]


# the files that take longest, begun first: else one process would be left with them at the end
LONG = "plain_vit crash unlabelled package processes assignments bench explore_browser study deploy scale".split()


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.stem.removeprefix("test_") not in LONG)


def pytest_collection_finish():
    """Before a test starts a data worker: a process has one forkserver, and it loads at its start or never."""
    if "commands" in sys.modules:
        sys.modules["commands"].context()


@contextlib.contextmanager
def survives(fault, tried=1):
    """Count a fault under which a test holds: what follows is asserted inside, and where that fails, work was lost."""
    try:
        yield
    except BaseException:
        record(fault, tried, 0, tried)
        raise
    record(fault, tried, tried, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """A test process of pytest-xdist ended: add what it counted."""
    for fault, counts in getattr(node, "workeroutput", {}).get("reliability", {}).items():
        record(fault, *counts)


def pytest_sessionfinish(session):
    """Write the counts, or hand them to the process that does."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["reliability"] = RELIABILITY
    elif RELIABILITY and (path := os.environ.get("COLLAB_SEG_RELIABILITY")):
        with open(path, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("fault", "tried", "survived", "lost"))
            writer.writerows((fault, *counts) for fault, counts in sorted(RELIABILITY.items()))


def tiny_config(method="collab", seed=0, steps=3, **data):
    """Settings that train in seconds."""
    from collab_seg.config import DistillConfig
    from collab_seg.presets import PRESETS

    toy = PRESETS["toy"]
    return dataclasses.replace(
        toy,
        data=dataclasses.replace(toy.data, size=(48, 64), crop=(48, 64), **data),
        distill=DistillConfig(method=method),
        optim=dataclasses.replace(toy.optim, steps=steps, batch_size=2, seed=seed, device=DEVICE),
    )


def in_one_and_two_pieces(config, folder, save_every=1):
    """A run in one piece, and the same run cut after its first checkpoint and gone on with."""
    from collab_seg.training import loop

    whole = loop.train(config, folder / "whole", progress=False, save_every=save_every)
    save_state = loop.save_state

    class Cut(Exception):
        pass

    def save_then_cut(*arguments):
        save_state(*arguments)
        raise Cut

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "save_state", save_then_cut)
        with pytest.raises(Cut):
            loop.train(config, folder / "pieces", progress=False, save_every=save_every)
    pieces = loop.train(
        config, folder / "pieces", resume=True, progress=False, save_every=save_every
    )
    return whole, pieces


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A finished run on ToyScapes."""
    from collab_seg.training.loop import train

    return train(tiny_config(), tmp_path_factory.mktemp("runs") / "tiny", progress=False)


def named_folder(variable, what):
    """The folder that an environment variable names; without it a test skips, saying so."""
    if not os.environ.get(variable):
        pytest.skip(f"{variable} does not name a folder with {what}")
    return Path(os.environ[variable])


@pytest.fixture
def camvid():
    """The folder of CamVid, by the environment variable COLLAB_SEG_CAMVID."""
    return named_folder("COLLAB_SEG_CAMVID", "CamVid")


@pytest.fixture
def facade():
    """The folder of the facade photos, by the environment variable COLLAB_SEG_FACADE."""
    return named_folder("COLLAB_SEG_FACADE", "the facade photos")
