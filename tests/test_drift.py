"""The modules are what the notebooks export, and README.md is what the index notebook gives."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from render_readme import render

ROOT = Path(__file__).resolve().parent.parent
BY_HAND = {"__init__.py", "__main__.py"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A copy of the notebooks, exported into an empty package."""
    copy = tmp_path_factory.mktemp("export")
    (copy / "nbs").mkdir()
    for notebook in (ROOT / "nbs").glob("*.ipynb"):
        (copy / "nbs" / notebook.name).write_bytes(notebook.read_bytes())
    (copy / "settings.ini").write_bytes((ROOT / "settings.ini").read_bytes())
    (copy / "collab_seg").mkdir()
    for name in BY_HAND:
        (copy / "collab_seg" / name).write_bytes((ROOT / "collab_seg" / name).read_bytes())
    command = [sys.executable, "-c", "from nbdev.doclinks import nbdev_export\nnbdev_export()"]
    subprocess.run(command, cwd=copy, check=True, capture_output=True, text=True)
    return copy / "collab_seg"


def test_every_module_is_what_its_notebook_exports(exported):
    names = {path.name for path in exported.glob("*.py")}
    assert names == {path.name for path in (ROOT / "collab_seg").glob("*.py")}, "a module without a notebook, or none for one"
    for name in sorted(names):
        assert (ROOT / "collab_seg" / name).read_text() == (exported / name).read_text(), f"{name}: run `make export`"


def test_readme_is_rendered_from_the_index():
    assert (ROOT / "README.md").read_text() == render(), "run `make readme`"


def test_every_notebook_was_run_to_its_end():
    import nbformat

    for path in sorted((ROOT / "nbs").glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            outputs = cell.get("outputs", [])
            assert not any(output.output_type == "error" for output in outputs), f"{path.name} holds an error"
            if cell.cell_type == "code" and re.search(r"\bprint\(", cell.source) and "def " not in cell.source:
                assert outputs, f"{path.name}: a cell that prints has no output; run `make notebooks`"


def test_every_notebook_has_its_badges_and_the_cell_that_installs():
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "badges.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"run python docs/badges.py, then look at: {done.stdout}"
