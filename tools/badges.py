"""The second and third cell of every notebook: badges that open it on Colab or Binder, and the cell that installs there.

`python tools/badges.py` writes them from settings.ini; with --check, it fails where a notebook has others.
"""

import configparser
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {  # what a notebook needs beside the package
    "convert": ("outlines", "outlined", "coco", "labelme", "yolo", "data_convert"),
    "bench": (
        "deploy",
        "other_libraries",
        "export",
        "measure",
        "bench",
        "bench_base",
        "bench_data",
        "bench_growth",
        "bench_losses",
        "bench_peers",
        "bench_start",
        "bench_training",
        "bench_use",
    ),  # fmt: skip
    "learn": (
        "00_first_look",
        "13_explorer",
        "explore",
        "explore_page",
        "explore_widgets",
        "explore_html",
        "explore_selection",
        "lessons",
        "lessons_ages",
        "lessons_words",
    ),  # fmt: skip
    "track": ("training_track",),
    "video": ("predict", "predict_video"),
}


def extra_of(name: str) -> str:
    """Such as [bench], for a notebook such as kit/bench."""
    stem = name.rpartition("/")[2]
    return "".join(f"[{extra}]" for extra, names in EXTRAS.items() if stem in names)


BADGES = """\
[![Open in Colab]({up}images/open_in_colab.svg)](https://colab.research.google.com/github/{user}/{repo}/blob/{branch}/nbs/{name}.ipynb)
[![Open in Binder]({up}images/open_in_binder.svg)](https://mybinder.org/v2/gh/{user}/{repo}/{branch}?urlpath=lab/tree/nbs/{name}.ipynb)"""
INSTALL = """\
# On Colab: fetch the project and install it. Where it is installed already, this cell does nothing.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("collab_seg") is None:
    address = "https://github.com/{user}/{repo}"
    subprocess.run(["git", "clone", "--depth", "1", address], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "./{repo}{extras}"]
    subprocess.run(install, check=True)
    os.chdir("{repo}/{folder}")"""


def first_cells(name: str) -> list[dict]:
    """The two cells of the notebook with this name, such as course/04_hfd."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "settings.ini")
    told = {key: settings["DEFAULT"][key] for key in ("user", "repo", "branch")}
    told |= {
        "name": name,
        "extras": extra_of(name),
        "up": "../" * name.count("/"),
        "folder": f"nbs/{name}".rpartition("/")[0],
    }
    badges, install = (text.format(**told).splitlines(keepends=True) for text in (BADGES, INSTALL))
    return [
        {"cell_type": "markdown", "id": "badges", "metadata": {}, "source": badges},
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "install",
            "outputs": [],
            "source": install,
            "metadata": {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]},
        },
    ]  # folded in JupyterLab


def is_first_cell(cell: dict) -> bool:
    """Whether this is one of the two, perhaps of an older form."""
    return cell.get("id") in ("badges", "install") or "".join(cell["source"]).startswith(
        ("[![Open in", "# On Colab: ")
    )


def main() -> int:
    """Write or check all notebooks; returns the exit code."""
    wrong = []
    for path in sorted((ROOT / "nbs").rglob("[!.]*.ipynb")):
        notebook = json.loads(path.read_text())
        rest = [cell for cell in notebook["cells"] if not is_first_cell(cell)]
        cells = (
            rest[:1]
            + first_cells(path.relative_to(ROOT / "nbs").with_suffix("").as_posix())
            + rest[1:]
        )

        def plain(cells):
            return [
                (cell["cell_type"], "".join(cell["source"]), cell["metadata"]) for cell in cells
            ]

        if plain(cells) != plain(notebook["cells"]):
            wrong.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(
                    json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False) + "\n"
                )
    if wrong:
        print(*wrong, sep="\n")
    return bool(wrong) and "--check" in sys.argv


if __name__ == "__main__":
    sys.exit(main())
