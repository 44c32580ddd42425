"""The two networks that learn together, and their weights.

Architectures register themselves when they are imported."""

from . import cnn, mit, plain_vit  # noqa: F401
