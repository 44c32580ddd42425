"""Copy a run's students in half precision, small enough for the repository: shrink_run.py RUN FOLDER."""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from collab_seg.core import write_atomic

run, folder = map(Path, sys.argv[1:])
for name in ("cnn", "vit"):
    tensors = load_file(run / f"{name}.safetensors")
    halves = {key: value.half() if value.dtype == torch.float32 else value for key, value in tensors.items()}
    write_atomic(folder / f"{name}.safetensors", save(halves))
write_atomic(folder / "config.json", (run / "config.json").read_text())
print(f"{folder}: {sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.1f} MB")
