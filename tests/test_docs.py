"""The site is made offline, every link in it leads somewhere, and no page fetches anything from elsewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))


@pytest.fixture(scope="module")
def site():
    for name in ("mkdocs", "material", "mkdocs_jupyter", "latex2mathml", "yaml"):
        pytest.importorskip(name, reason="the site needs the extra docs")
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_docs.py")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "_docs" / "site"


def test_every_notebook_and_module_has_its_page(site):
    for path in (ROOT / "nbs").glob("*/*.ipynb"):
        assert (site / "chapters" / path.parent.name / f"{path.stem}.html").exists(), path
    for path in [
        *(ROOT / "collab_seg").glob("[a-z]*.py"),
        *(ROOT / "collab_seg").glob("[a-z]*/[a-z]*.py"),
    ]:
        name = ".".join(path.relative_to(ROOT / "collab_seg").with_suffix("").parts)
        assert (site / "api" / f"{name}.html").exists(), path


def test_the_how_tos_have_a_place_of_their_own(site):
    page = (site / "index.html").read_text()
    links = [
        page.find(f"chapters/howto/{name}.html") for name in ("lightning", "pytorch", "trainer")
    ]
    assert -1 < page.find("How-to") < min(links) and max(links) < page.find("assignments.html"), (
        links
    )


def test_formulas_are_drawn_and_pictures_are_there(site):
    page = (site / "chapters" / "course" / "04_hfd.html").read_text()
    assert "<math" in page and "data:image/png" in page
    for path in (site / "chapters").rglob("*.html"):
        text = re.sub(r"<(pre|code|script|style)\b.*?</\1>", "", path.read_text(), flags=re.S)
        assert "$$" not in text and "#| export" not in text, path


def test_a_parameter_is_explained_by_its_comment(site):
    page = (site / "api" / "config.html").read_text()
    assert "highest learning rate" in page and "<td><code>lr</code></td>" in page


def test_what_is_wrong_is_found(tmp_path):
    from make_docs import check_links

    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">b</a> <a href="c.html">c</a> <a href="#here">x</a> <a href="https://example.org">fine</a>'
        '<script src="https://example.org/x.js"></script> <a href="b.html#nowhere">b</a>'
    )
    (tmp_path / "b.html").write_text('<h1 id="there">b</h1>')
    wrong = check_links(tmp_path)
    assert (
        len(wrong) == 4
        and any("x.js" in line for line in wrong)
        and any("c.html" in line for line in wrong)
    )
    assert any("#here" in line for line in wrong) and any("#nowhere" in line for line in wrong)


def test_readme_is_read_in_a_few_minutes():
    """Every word counts, also those of its tables, code and addresses: as `wc -w` counts them."""
    assert len((ROOT / "README.md").read_text().split()) <= 1200, "put it on a page of docs/"


def test_readme_calls_what_ci_runs():
    text, called = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    assert "\nmake test " in text and "\nmake test ||" in called


def test_every_notebook_of_the_kit_is_listed():
    listed = set(re.findall(r"kit/(\w+)\.ipynb", (ROOT / "docs" / "kit.md").read_text()))
    assert listed == {path.stem for path in (ROOT / "nbs" / "kit").glob("*.ipynb")}


def test_what_left_the_readme_has_a_page(site):
    faults = (site / "faults.html").read_text()
    assert "<td>spoiled checkpoint</td>" in faults and "&lt;!-- csv" not in faults
    assert "camvid_benchmark.toml" in (site / "commands.html").read_text()
    measured = (site / "chapters" / "kit" / "measured_tables.html").read_text()
    assert "own_confidence" in measured and "collab beats control random_mask" in measured


def test_the_search_knows_the_losses(site):
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    assert sum("RegionBSD" in page["text"] or "RegionBSD" in page["title"] for page in found) > 2


def test_the_site_has_a_first_look_at_the_explorer(site):
    page = (site / "explorer.html").read_text()
    look = page[page.index('<div class="ex">') : page.index("</article>")]
    images = re.findall(r"<img [^>]*>", look)
    assert len(images) == 2 + 9 * 4 and all(re.search(r'alt="[^"]{20,}"', x) for x in images)
    assert look.count('type="radio"') == 6 and look.count(" checked") == 2
    assert (
        "<script" not in look
        and "onclick" not in look
        and "explorer.html" in (site / "index.html").read_text()
    )
