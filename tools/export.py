"""Write the package from the notebooks of the folder that this is run in, formatted as all code here is."""

import re
import subprocess
import sys
from pathlib import Path

from nbdev.doclinks import nbdev_export


def relative(text: str, rooms: int) -> str:
    """Imports of this package as relative ones, also those of several lines, which nbdev leaves."""
    found = re.compile(r"^from collab_seg\.([\w.]+) import \(", re.M)
    return found.sub(lambda match: f"from {'.' * (rooms + 1)}{match[1]} import (", text)


def main() -> None:
    nbdev_export()
    for path in Path("collab_seg").rglob("*.py"):
        text = path.read_text()
        rooms = len(path.relative_to("collab_seg").parts) - 1
        if (changed := relative(text, rooms)) != text:
            path.write_text(changed)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", "collab_seg"], check=True)


if __name__ == "__main__":
    main()
