"""`python -m collab_seg` is `collab-seg`."""

import sys

from collab_seg.use.cli import main

sys.exit(main())
