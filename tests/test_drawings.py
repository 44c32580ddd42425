"""The drawings of ideas are what the tool draws; each has words for those who cannot see it."""

import re
import xml.etree.ElementTree as ElementTree

import drawings
import pytest

from collab_seg.show import STUDENTS

SVG = "{http://www.w3.org/2000/svg}"


def test_the_files_are_what_the_tool_draws():
    for name, text in drawings.files().items():
        path = drawings.IMAGES / name
        assert path.exists() and path.read_text() == text, f"{name}: run `python tools/drawings.py`"


@pytest.mark.parametrize("name", drawings.files())
def test_a_drawing_is_whole_says_what_it_shows_and_can_be_read(name):
    text = drawings.files()[name]
    root = ElementTree.fromstring(text)
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert len(title.text) > 10 and len(desc.text.split()) > 30
    assert root.get("role") == "img" and root.get("aria-labelledby") == "t d"
    assert "prefers-color-scheme:dark" in text
    assert not re.search(r"url\(|@import|href|src=", text), "it must fetch nothing"
    shown = 700 / drawings.WIDTH  # pixels a unit, on a page of 700
    for words in root.iter(f"{SVG}text"):
        assert float(words.get("font-size")) * shown >= 12, words.text
        assert 0 < float(words.get("x")) < drawings.WIDTH, words.text
        assert 0 < float(words.get("y")) < float(root.get("viewBox").split()[3]), words.text


def test_the_students_have_their_colours_in_light_and_dark():
    for name in ("cnn", "vit"):
        assert drawings.COLOURS[name] == (STUDENTS[name].hex,) * 2
