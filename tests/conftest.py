"""What the tests share: a tiny trained run, and where CamVid is."""

import dataclasses
import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def tiny_config(method="collab", seed=0, steps=3, **data):
    """Settings that train in seconds."""
    from collab_seg.core import PRESETS, DistillConfig

    toy = PRESETS["toy"]
    return dataclasses.replace(
        toy, data=dataclasses.replace(toy.data, size=(48, 64), crop=(48, 64), **data),
        distill=DistillConfig(method=method),
        optim=dataclasses.replace(toy.optim, steps=steps, batch_size=2, seed=seed, device="cpu"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory):
    """A finished run on ToyScapes."""
    from collab_seg.train import train

    return train(tiny_config(), tmp_path_factory.mktemp("runs") / "tiny", progress=False)


@pytest.fixture
def camvid():
    """The folder of CamVid, by the environment variable COLLAB_SEG_CAMVID."""
    folder = os.environ.get("COLLAB_SEG_CAMVID")
    if not folder:
        pytest.skip("COLLAB_SEG_CAMVID does not name a folder with CamVid")
    return Path(folder)
