"""`python one_gpu.py train ...`: collab-seg without dropout; where there are several processes, they may share a GPU.

NCCL gives each process a GPU of its own; Gloo does not ask for that, so that what several processes do can be tried with one.
"""

import os
import sys

import torch
from torch import nn

nn.Dropout.forward = nn.Dropout2d.forward = lambda self, x: x  # each process would draw its own
torch.backends.cudnn.allow_tf32 = False
if "RANK" in os.environ:
    os.environ["LOCAL_RANK"] = "0"  # accelerate's barrier names the GPU of this number
    torch.distributed.init_process_group("gloo")

from collab_seg.use.cli import main  # noqa: E402

code = main(sys.argv[1:])
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
sys.exit(code)
