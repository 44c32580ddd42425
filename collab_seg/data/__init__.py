"""Images and labels: data sets, their files, and tensors of them. Data sets register themselves when they are imported."""

from . import benchmarks, camvid, folder, hub, toyscapes  # noqa: F401
