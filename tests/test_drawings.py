"""Drawings of ideas and the label map are what the tools draw; drawings have words for all."""

import re
import xml.etree.ElementTree as ElementTree

import drawings
import numpy as np
import photo_labels
import pytest
from PIL import Image

from collab_seg.show import STUDENTS

PHOTOS = photo_labels.PHOTOS
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


def test_the_photo_has_its_label_map_and_says_whose_it_is():
    drawn, kept = photo_labels.coffee_label(), np.asarray(Image.open(PHOTOS / "coffee.png"))
    assert drawn.shape == kept.shape and (drawn != kept).mean() < 1e-3  # Pillow's rounding
    photo = Image.open(PHOTOS / "coffee.jpg")
    assert photo.size[::-1] == kept.shape and (PHOTOS / "coffee.jpg").stat().st_size < 40_000
    assert set(np.unique(kept)) == {*range(len(photo_labels.CLASSES)), 255}
    words = (PHOTOS / "README.md").read_text()
    assert all(f"`{path.name}`" in words for path in PHOTOS.iterdir() if path.suffix != ".md")
    assert "CC0" in words and "Rachel Michetti" in words
