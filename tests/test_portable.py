"""What a notebook's output is compared by, and that every stage of `make test` runs to its end."""

import sys
from pathlib import Path

import nbformat
import pytest
import stages
from nbval.plugin import comment_markers, find_comment_markers

ROOT = Path(__file__).resolve().parent.parent


def idle_markers(source):
    """Lines of a cell that look like a marker of nbval and are none."""
    words = ("NBVAL_", "PYTEST_VALIDATE_")
    lines = [
        line.strip()
        for line in source.splitlines()
        if any(word in line.partition("#")[2] for word in words)
    ]
    return [
        line
        for line in lines
        if not (line.startswith("#") and line.lstrip("#").strip() in comment_markers)
    ]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "nbs").rglob("*.ipynb")), ids=lambda path: path.stem
)
def test_every_marker_is_one_that_nbval_takes(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert idle_markers(cell.source) == [], (
                f"{path.name}, cell {cell.id}: a marker must stand alone on its line"
            )
            exported = cell.source.lstrip().startswith("#|")
            assert not (exported and [*find_comment_markers(cell.source)]), (
                f"{path.name}, cell {cell.id}: goes into a module"
            )


@pytest.mark.parametrize(
    ("line", "idle"),
    [
        ("# NBVAL_IGNORE_OUTPUT", False),
        ("#NBVAL_SKIP", False),
        ("  # NBVAL_RAISES_EXCEPTION", False),
        ("x = 'NBVAL_SKIP'", False),
        ("# NBVAL_IGNORE_OUTPUT (for a reason)", True),
        ("# NBVAL_IGNORE_OUTPUTS", True),
        ("# nbval: NBVAL_SKIP", True),
        ("# PYTEST_VALIDATE_IGNORE_OUTPUT, for it varies", True),
        ("x = 1  # NBVAL_IGNORE_OUTPUT", True),
    ],
)
def test_a_marker_that_is_none_is_told_from_one_that_is(line, idle):
    assert bool(idle_markers(f"print(1)\n{line}\nprint(2)")) == idle


def test_all_stages_run_and_are_reported_also_when_the_first_fails(tmp_path, capfd):
    (tmp_path / "test_good.py").write_text("def test_good():\n    pass\n")
    (tmp_path / "test_bad.py").write_text("def test_bad():\n    assert False\n")
    plain = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    chosen = {
        "first": ([str(tmp_path / "test_bad.py"), *plain], {}),
        "second": ([str(tmp_path / "test_good.py"), *plain], {}),
    }
    assert stages.run(chosen) == 1
    said = capfd.readouterr().out
    assert (
        "1 failed" in said
        and "1 passed" in said
        and "failed  first" in said
        and "passed  second" in said
    )
    assert stages.run({"second": chosen["second"]}) == 0


def test_a_home_that_cannot_be_written_is_replaced_and_it_is_said(monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert stages.usable_home() == {}
    monkeypatch.setenv("HOME", "/dev/null/nowhere")
    assert (
        Path(stages.usable_home()["HOME"]).is_dir()
        and "note: HOME is /dev/null/nowhere" in capfd.readouterr().out
    )


def test_the_stages_are_those_that_make_names():
    assert [*stages.stages(2)] == ["drift", "notebooks", "pytest"] and len(
        stages.portable(1, None)
    ) == len(stages.KERNELS)
    recipe = (ROOT / "Makefile").read_text()
    assert "tools/stages.py --jobs" in recipe and "tools/stages.py --portable" in recipe
    assert "tools/stages.py --portable baseline" in (
        ROOT / ".ci" / "run"
    ).read_text() and sys.version_info >= (3, 11)
