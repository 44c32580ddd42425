"""What a learner meets in each chapter: a picture soon, guesses, something to try, and answers that can be unfolded."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "nbs" / "course").glob("*.ipynb"))
PAGES = CHAPTERS + sorted((ROOT / "nbs" / "howto").glob("*.ipynb"))
TURN, GUESS, FOLDED = "**Your turn**", "**Guess", "<details>"


def cells_of(path):
    """The cells of a chapter without the one that installs, as (kind, source, outputs)."""
    cells = json.loads(path.read_text())["cells"]
    cells = [(c["cell_type"], "".join(c["source"]), c.get("outputs", [])) for c in cells]
    return [cell for cell in cells if "import importlib.util" not in cell[1]]


def code_lines(source):
    lines = (line.strip() for line in source.splitlines())
    return sum(bool(line) and not line.startswith("#") for line in lines)


def draws(kind, source, outputs):
    """Is there a picture in a cell, other than a badge?"""
    if kind == "markdown":
        images = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", source)
        return any("open_in_" not in image for image in images)
    return any(name.startswith("image/") for out in outputs for name in out.get("data", {}))


def test_the_course_has_its_fourteen_chapters():
    numbers = [int(path.name[:2]) for path in CHAPTERS]
    assert numbers == list(range(14))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_picture_comes_soon(path):
    """At most a dozen lines of code are read before the first one; chapter 12 plots a table first."""
    read, most = 0, 40 if path.name[:2] == "12" else 12
    for kind, source, outputs in cells_of(path):
        if draws(kind, source, outputs):
            break
        read += code_lines(source) if kind == "code" else 0
    else:
        raise AssertionError("no picture at all")
    assert read <= most


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_is_read_in_one_sitting(path):
    """At most 200 lines of code; plumbing lives in nbs/kit, and checks for maintainers in tests/."""
    assert sum(code_lines(source) for kind, source, _ in cells_of(path) if kind == "code") <= 200


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_cell_that_a_learner_reads_is_long(path):
    sizes = [code_lines(source) for kind, source, _ in cells_of(path) if kind == "code"]
    assert max(sizes) <= 30


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_each_chapter_asks_for_guesses_and_has_turns_with_answers(path):
    cells = cells_of(path)
    assert sum(GUESS in source for _, source, _ in cells) >= 2
    turns = [i for i, (_, source, _) in enumerate(cells) if TURN in source]
    assert 2 <= len(turns) <= 4
    for i in turns:
        asked, (kind, code, _), (_, answer, _) = cells[i][1], cells[i + 1], cells[i + 2]
        assert re.search(r"\*\*Your turn\*\* \((easy|medium|hard), \d+ minutes", asked), asked[:80]
        assert kind == "code" and "# <- change" in code and code_lines(code) <= 16, asked[:80]
        assert FOLDED in answer, asked[:80]
