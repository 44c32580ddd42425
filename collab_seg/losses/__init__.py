"""What two networks teach each other; it needs PyTorch and `core`, and nothing else."""

from . import others, features, controls, pseudo  # noqa: F401, I001  (they register their methods)
from .base import DistillationLoss  # noqa: F401
from .hfd import HFD  # noqa: F401
from .pixel import PixelBSD  # noqa: F401
from .region import RegionBSD  # noqa: F401
