"""Copy a run's students in half precision, small enough for the repository: shrink_run.py RUN FOLDER.

Of a run with snapshots only these are copied: the last of them are the finished students.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from collab_seg.files import write_atomic

run, folder = map(Path, sys.argv[1:])
for path in sorted(run.glob("snapshots/step-*/*.safetensors")) or [
    run / "cnn.safetensors",
    run / "vit.safetensors",
]:
    tensors = load_file(path)
    halves = {
        key: value.half() if value.dtype == torch.float32 else value
        for key, value in tensors.items()
    }
    write_atomic(folder / path.relative_to(run), save(halves))
write_atomic(folder / "config.json", (run / "config.json").read_text())
if (run / "snapshots").is_dir():
    from collab_seg.use.lessons import Snapshots
    from collab_seg.use.lessons_ages import ages_table

    (folder / "snapshots" / "scores.csv").unlink(missing_ok=True)
    ages = Snapshots(folder)
    ages_table(ages, ages.scenes())
print(
    f"{folder}: "
    f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 1e6:.1f} MB"
)
