"""Images and labels: data sets, their files, and tensors of them.

Data sets register themselves when they are imported.
"""

from . import toyscapes, camvid, benchmarks, folder, hub  # noqa: F401, I001  (in the order of lists)
