"""`python frozen_norms.py train ...`: collab-seg without dropout, and with batch norms that use their running statistics.

Batch statistics are those of a process's own part of the batch (on GPUs too, unless synchronised): the one thing in
which two processes differ from one with the whole batch; and each draws its own dropout. Without either, both must do
the same steps.
"""

import sys

import torch.nn.functional as F
from timm.layers import BatchNormAct2d
from torch import nn


def normalise(self, x):
    return F.batch_norm(
        x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
    )


def freeze():
    """From now on, in this process."""
    nn.BatchNorm2d.forward = normalise
    nn.Dropout.forward = nn.Dropout2d.forward = lambda self, x: x
    BatchNormAct2d.forward = lambda self, x: self.act(self.drop(normalise(self, x)))


if __name__ == "__main__":
    from collab_seg.use.cli import main

    freeze()
    sys.exit(main(sys.argv[1:]))
