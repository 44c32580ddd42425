"""The modules are what the notebooks export, and README.md is what the index notebook gives."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from render_readme import render

ROOT = Path(__file__).resolve().parent.parent
BY_HAND = {"__init__.py", "__main__.py"}


def modules(root: Path) -> list[Path]:
    """The package's files, from the top folder; the runs of the explorer hold none."""
    return sorted(path.relative_to(root) for path in (root / "collab_seg").rglob("*.py"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A copy of the notebooks, exported into an empty package."""
    copy = tmp_path_factory.mktemp("export")
    (copy / "nbs").mkdir()
    for notebook in (ROOT / "nbs").rglob("[!.]*.ipynb"):
        to = copy / notebook.relative_to(ROOT)
        to.parent.mkdir(exist_ok=True)
        to.write_bytes(notebook.read_bytes())
    (copy / "settings.ini").write_bytes((ROOT / "settings.ini").read_bytes())
    for path in modules(ROOT):
        if path.name in BY_HAND:
            (copy / path).parent.mkdir(exist_ok=True)
            (copy / path).write_bytes((ROOT / path).read_bytes())
    (copy / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    export = [sys.executable, str(ROOT / "tools" / "export.py")]
    subprocess.run(export, cwd=copy, check=True, capture_output=True, text=True)
    return copy


def test_every_module_is_what_its_notebook_exports(exported):
    names = modules(exported)
    assert names == modules(ROOT), "a module without a notebook, or none for one"
    for name in names:
        assert (ROOT / name).read_text() == (exported / name).read_text(), (
            f"{name}: run `make export`"
        )


def test_notebooks_and_code_are_formatted_and_checked():
    folders = ["nbs", "tests", "tools", "docs", "studies"]
    for command in (["format", "--check", *folders], ["check", "collab_seg", *folders]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command], capture_output=True, text=True, cwd=ROOT
        )
        assert done.returncode == 0, f"run `make format`: {done.stdout[-2000:]}"


def test_readme_is_rendered_from_the_index():
    assert (ROOT / "README.md").read_text() == render(), "run `make readme`"


def test_every_notebook_was_run_to_its_end():
    import nbformat

    for path in sorted((ROOT / "nbs").rglob("[!.]*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            outputs = cell.get("outputs", [])
            assert not any(output.output_type == "error" for output in outputs), (
                f"{path.name} holds an error"
            )
            if (
                cell.cell_type == "code"
                and re.search(r"\bprint\(", cell.source)
                and "def " not in cell.source
            ):
                assert outputs, (
                    f"{path.name}: a cell that prints has no output; run `make notebooks`"
                )


def test_every_notebook_has_its_badges_and_the_cell_that_installs():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "badges.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"run python tools/badges.py, then look at: {done.stdout}"
