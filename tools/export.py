"""Write the package from the notebooks of the folder that this is run in, formatted as all code here is."""

import subprocess
import sys

from nbdev.doclinks import nbdev_export

nbdev_export()
subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", "collab_seg"], check=True)
