"""What two networks teach each other. It needs PyTorch and `core`, and nothing else of this package."""

from . import controls, features, others  # noqa: F401  (which register their methods)
from .base import DistillationLoss  # noqa: F401
from .hfd import HFD  # noqa: F401
from .pixel import PixelBSD  # noqa: F401
from .region import RegionBSD  # noqa: F401
