"""The explorer without a browser: odd runs, odd images, odd views; colours; what each picture says."""

import dataclasses
import itertools
import shutil
import sys
from datetime import datetime
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import TINY, tiny_config

from collab_seg.core import IGNORE_INDEX, UserError
from collab_seg.data.views import normalize
from collab_seg.show import FULL_GAP, TEACHERS
from collab_seg.training.loop import train
from collab_seg.use.cli import main
from collab_seg.use.explore import Explorer
from collab_seg.use.explore_html import figure_html, png, region_html
from collab_seg.use.explore_page import serve
from collab_seg.use.explore_selection import Gallery
from collab_seg.use.lessons import (
    EXAMPLES,
    RIGHT,
    TITLES,
    Snapshots,
    View,
    pictures,
    see_image,
    teaching,
)
from collab_seg.use.lessons_ages import ages_table, score_ages
from collab_seg.use.lessons_words import region_errors, sentences


@pytest.fixture(scope="module")
def collab():
    """The finished students of an example and its images."""
    ages = Snapshots(EXAMPLES / "collab")
    return ages, ages.scenes(4)


@pytest.fixture(scope="module")
def page():
    """An explorer of one example."""
    return Explorer([EXAMPLES / "dml"])


class Images(HTMLParser):
    """The alternative texts of the images in some HTML."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.found.append(dict(attributes)["alt"])


def test_every_view_gives_pictures_of_one_size_and_sentences(collab):
    ages, scenes = collab
    cnn, vit, source = ages.students(ages.steps[-1])
    image, truth = scenes[25]
    for truth in (
        truth,
        torch.full_like(truth, IGNORE_INDEX),
        None,
    ):  # as it is, void all over, none
        seen = see_image(cnn, vit, normalize(image)[None], truth)
        for size, temperature, margin, place in itertools.product(
            (1, 5, 12, 40), (0.5, 8.0), (0.0, 3.0), (0, 99)
        ):
            view = View(size, temperature, margin, place, place)
            drawn = pictures(seen, view, source.palette)
            assert {picture.shape for picture in drawn.values()} == {(96, 128, 3)}
            said = sentences(seen, view, source.classes)
            assert (
                list(said) == list(TITLES)
                and all(said.values())
                and "nan" not in "".join(said.values())
            )
            assert len(region_html(seen, view, source)) > 100
        for view in (View(1), View(1, margin=0.0, row=7, column=9)):
            if taught := teaching(seen, view):
                assert all(
                    torch.equal(taught.region[way], taught.pixel[way])
                    for way in ("to_cnn", "to_vit", "valid")
                )
    assert (
        region_errors(
            see_image(cnn, vit, normalize(image)[None], torch.full((96, 128), IGNORE_INDEX)), View()
        )
        is None
    )


def test_what_is_said_is_what_the_masks_hold(collab):
    ages, scenes = collab
    cnn, vit, source = ages.students(ages.steps[0])
    for image, truth in scenes.values():
        seen = see_image(cnn, vit, normalize(image)[None], truth)
        taught = teaching(seen, View(3, margin=0.2))
        valid = taught.pixel["valid"].sum()
        teaches = [
            round(100 * (taught.pixel[way].sum() / valid).item()) for way in ("to_vit", "to_cnn")
        ]
        said = sentences(seen, View(3, margin=0.2), source.classes)["pixel"]
        assert (
            f"the CNN teaches in {teaches[0]}%" in said
            and f"the ViT teaches in {teaches[1]}%" in said
        )
        strict = View(3, margin=FULL_GAP)  # whoever teaches does so in full colour
        blue = (pictures(seen, strict, source.palette)["pixel"] == TEACHERS[0]).all(2).mean()
        taught = teaching(seen, strict).pixel["to_vit"]  # blue: the CNN teaches, so the ViT learns
        assert abs(blue - taught.float().mean().item()) < 1e-6


def test_colours_stay_apart_for_every_eye():
    """Machado, Oliveira and Fernandes 2009: how colours look without one kind of cone."""
    eyes = np.array(
        [
            [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
            [
                [0.152286, 1.052583, -0.204868],
                [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998],
            ],
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ],
            [
                [1.255528, -0.076749, -0.178779],
                [-0.078411, 0.930809, 0.147602],
                [0.004733, 0.691367, 0.303900],
            ],
        ]
    )
    for colours in (TEACHERS, RIGHT):
        linear = (np.array([*colours, (0, 0, 0)]) / 255) ** 2.2
        for eye in eyes:
            seen = (linear @ eye.T).clip(0, 1) ** (1 / 2.2)
            nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
            assert nearest > 0.2, (colours, eye, nearest)


def test_each_picture_on_the_page_has_its_words(page):
    page.controls.image.value = page.controls.image.options[0][1]
    chosen, display = page.selection, page.display
    said = sentences(chosen.seen(), page.controls.view(), chosen.source().classes)
    for name, widget in display.figures.items():
        assert Images(widget.value).found == [f"{TITLES[name]}: {said[name]}"]
    assert 'role="img"' in display.chart.value and 'role="status"' in display.status.value
    assert Images(figure_html('"<b>', 'a "quote" & <i>', np.zeros((2, 2, 3), np.uint8))).found == [
        '"<b>: a "quote" & <i>'
    ]


@pytest.mark.parametrize("shape", [(1, 1), (20, 200), (700, 40), (96, 128)])
def test_photos_of_any_shape(page, shape):
    page.add_photo("photo", png(np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)))
    assert (
        page.controls.image.value == "photo"
        and page.selection.seen().truth is None
        and "no truth" in page.display.numbers.value
    )
    page.controls.region_size.value = 12
    page.controls.click.value = "1.0 1.0"
    assert (page.controls.row.value, page.controls.column.value) == (
        page.controls.row.max,
        page.controls.column.max,
    )
    page.controls.region_size.value = 4


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_a_broken_upload_is_told_on_the_page(page, content):
    page.controls.upload.value = (
        {
            "name": "<broken>.png",
            "type": "",
            "size": len(content),
            "content": memoryview(content),
            "last_modified": datetime.now(),
        },
    )
    assert (
        "&lt;broken&gt;.png" in page.display.status.value
        and "<broken>.png" not in page.selection.gallery.photos
    )
    assert len(page.controls.image.options) == len(
        {value for _, value in page.controls.image.options}
    )


def test_a_click_that_is_none_moves_nothing(page):
    before = page.controls.view()
    for text in ("", "a b", "0.5", "nan nan", "1 2 3", "inf 0"):
        page.controls.click.value = text
    assert page.controls.view() == before
    page.controls.margin.value = 0.5  # and the page still answers
    assert "margin 0.50" in page.display.status.value


def test_a_finished_run_without_snapshots_has_one_age(tiny_run):
    shown = Explorer([tiny_run, EXAMPLES / "collab"])  # two runs of one method go by their folders
    assert list(shown.selection.gallery.ages) == [str(tiny_run), str(EXAMPLES / "collab")]
    assert shown.controls.step.value == 3 and not (tiny_run / "snapshots").exists()
    shown.controls.run.value = str(EXAMPLES / "collab")
    assert shown.controls.step.value == 24  # the nearest age


def test_runs_that_cannot_be_shown(tmp_path, capsys):
    shutil.copytree(EXAMPLES / "alone", tmp_path / "run")
    (
        tmp_path / "run" / "snapshots" / "step-000096" / "cnn.safetensors"
    ).unlink()  # killed between the two files
    (tmp_path / "run" / "snapshots" / "step-odd").mkdir()
    assert Snapshots(tmp_path / "run").steps == [24, 216, 384, 600]
    shutil.rmtree(tmp_path / "run" / "snapshots")
    for wrong, said in ((tmp_path / "run", "not finished"), (tmp_path / "gone", "no config.json")):
        assert main(["explore", str(wrong), "--no-browser"]) == 2
        told = capsys.readouterr().err
        assert said in told and told.count("\n") == 1
    assert main(["explore", "--port", "0"]) == 2 and "port is 0" in capsys.readouterr().err


def test_scores_are_written_once_and_mended(tmp_path, monkeypatch):
    run = shutil.copytree(EXAMPLES / "collab", tmp_path / "run")
    path, ages = run / "snapshots" / "scores.csv", Snapshots(run)
    scenes = ages.scenes(1)
    shipped = pd.read_csv(path)
    assert ages_table(ages, {}).equals(shipped)
    for broken in ("", "step\n24\n", "no table", path.read_text().replace("384", "385")):
        path.write_text(broken)
        table = ages_table(ages, scenes)
        assert table.step.tolist() == ages.steps and pd.read_csv(path).equals(table)
    path.unlink()

    def refuse(*given):
        raise PermissionError(13, "Permission denied")

    other = Snapshots(run, tmp_path)  # scores on another folder are not those of the run
    assert not ages_table(other, dict(list(ages.scenes(2).items())[1:])).equals(table)
    assert not path.exists()
    monkeypatch.setattr("collab_seg.use.lessons_ages.write_atomic", refuse)
    assert ages_table(ages, scenes).equals(table) and not path.exists()


def test_a_run_in_a_folder_called_as_a_method_is_that_run(tmp_path, monkeypatch):
    """The package's example was shown in its place."""
    monkeypatch.chdir(tmp_path)
    gallery = Gallery([EXAMPLES / "collab"])
    shutil.copytree(EXAMPLES / "dml", "collab")
    name = gallery.add_run("collab")
    assert name != "collab" and gallery.ages[name].run.resolve() == tmp_path / "collab"
    assert gallery.add_run(str(EXAMPLES / "collab")) == str(EXAMPLES / "collab")


def test_shipped_scores_are_those_of_the_shipped_students():
    """Of the first and the last age, on all twenty images; other versions of PyTorch may round a tie apart."""
    ages = Snapshots(EXAMPLES / "collab")
    ages.steps = [ages.steps[0], ages.steps[-1]]
    shipped = pd.read_csv(ages.run / "snapshots" / "scores.csv").set_index("step").loc[ages.steps]
    assert (
        np.abs(score_ages(ages, ages.scenes()).set_index("step") - shipped).to_numpy().max() < 0.003
    )


def test_without_ipywidgets_only_the_widgets_are_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(UserError, match=r"pip install .collab_seg\[learn\]"):
        Explorer([EXAMPLES / "alone"])
    monkeypatch.setitem(sys.modules, "voila.app", None)
    with pytest.raises(UserError, match="ipywidgets and voila"):
        serve()


def test_train_keeps_snapshots(tmp_path, capsys):
    flags = [*TINY, "--no-progress"]
    assert (
        main(["train", *flags, "--steps", "4", "--snapshots", "-1", "--out", str(tmp_path / "run")])
        == 2
    )
    assert "snapshots is -1" in capsys.readouterr().err and not (tmp_path / "run").exists()
    assert (
        main(["train", *flags, "--steps", "4", "--snapshots", "2", "--out", str(tmp_path / "run")])
        == 0
    )
    assert Snapshots(tmp_path / "run").steps == [1, 4]
    for name in ("cnn.safetensors", "vit.safetensors"):  # the last snapshot is the finished student
        assert (tmp_path / "run" / name).read_bytes() == (
            tmp_path / "run" / "snapshots" / "step-000004" / name
        ).read_bytes()


def test_a_run_that_fails_at_once_leaves_no_snapshots(tmp_path):
    config = tiny_config("alone", steps=30)
    config = dataclasses.replace(
        config, optim=dataclasses.replace(config.optim, lr=1e20, warmup=0.0)
    )
    with pytest.raises(UserError, match="not finite"):
        train(config, tmp_path / "bad", progress=False, snapshots=10)
    assert not (tmp_path / "bad").exists()
