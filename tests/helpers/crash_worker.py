"""What the crash tests run in processes that they kill: one whole `collab-seg train`, with everything slow done
beforehand, and scored on a tenth of the images."""

import os
import sys

import matplotlib.pyplot  # noqa: F401
import torch

from collab_seg.data.sources import get_source
from collab_seg.training import evaluate, pictures  # noqa: F401
from collab_seg.training.loop import Training
from collab_seg.use import cli, commands_train

torch.set_num_threads(1)
for split in ("train", "val"):  # drawn once, before the processes are forked
    get_source("toyscapes").load(None, split)

TINY = "--preset toy --size 32 48 --crop 32 48 --batch-size 2 --device cpu".split()


def work(run: str, steps: int, progress) -> None:
    """Train and score a run from its beginning, or from where it was killed; tells `progress` each finished step."""
    sys.stdout = open(os.devnull, "w")
    step = Training.step

    def told(self, images, target, number, unlabelled=None):
        progress.value = number
        return step(self, images, target, number, unlabelled)

    Training.step = told
    report = commands_train.report_scores
    commands_train.report_scores = lambda run, split, **more: report(run, f"{split}/10", **more)
    started = os.path.exists(os.path.join(run, "config.json"))
    arguments = (
        ["--resume", run]
        if started
        else [*TINY, "--steps", str(steps), "--save-every", "5", "--out", run]
    )
    sys.exit(cli.main(["train", *arguments, "--no-progress"]))
