"""Images without labels: which they are, in which order, when they are read, and that their labels are never opened."""

import builtins
import dataclasses
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_config
from PIL import Image

from collab_seg.config import DataConfig
from collab_seg.core import UserError, say_once
from collab_seg.data import reading
from collab_seg.data.base import image_paths
from collab_seg.data.check import check_before, check_report
from collab_seg.data.hub import read_hf
from collab_seg.data.scenes import Scenes, chosen, labelled_rows
from collab_seg.data.sources import open_source
from collab_seg.data.unlabelled import check_unlabelled, open_unlabelled
from collab_seg.use import cli

LABEL = np.zeros((48, 64), np.uint8)
LABEL[:, 32:] = 1


@pytest.fixture(autouse=True)
def notes_are_said_anew():
    say_once.cache_clear()
    read_hf.cache_clear()


def photo(number, size=(48, 64)):
    return np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def camvid(root, count=12):
    """A small CamVid of random photos."""
    for split, many in (("train", count), ("val", 2)):
        for number in range(many):
            save(root / split / f"{split}{number:03}.png", photo(number + 100 * (split == "val")))
            save(root / f"{split}annot" / f"{split}{number:03}.png", LABEL)
    return root


def folder(root, count=12, **settings):
    """An own folder with parts train and val."""
    for split, many in (("train", count), ("val", 2)):
        for number in range(many):
            name = f"{split}/{split}{number:03}"
            save(root / f"images/{name}.png", photo(number + 100 * (split == "val")))
            save(root / f"labels/{name}.png", LABEL)
    usual = {"classes": "rest,road", "size": (48, 64), "crop": (32, 32)}
    return DataConfig(data="folder", root=str(root), **usual | settings)


def both(settings):
    """How many images count as labelled, and the scenes without labels."""
    source = open_source(settings)
    return len(labelled_rows(source, settings)), open_unlabelled(settings, source)


def image_names(rows):
    """The names of the files, without ending."""
    return [Path(path).stem for path in image_paths(rows)]


def refused(settings, *words):
    """The settings are refused in one line with these words."""
    with pytest.raises(UserError) as error:
        both(settings)
    said = str(error.value)
    assert "\n" not in said and ("needed: " in said or "known: " in said)
    for word in words:
        assert word in said, said


@pytest.fixture
def opened(monkeypatch):
    """The names of all image files that are opened, by Pillow or as bytes."""
    names, usual, usual_open = [], Image.open, builtins.open

    def watched(file, *arguments, **options):
        names.append(str(file))
        return usual(file, *arguments, **options)

    def watched_file(file, *arguments, **options):
        names.append(str(file))
        return usual_open(file, *arguments, **options)

    monkeypatch.setattr(Image, "open", watched)
    monkeypatch.setattr(builtins, "open", watched_file)
    monkeypatch.setattr("io.open", watched_file)
    return names


# a split whose labels are not used


def test_ten_images_of_camvid_count_as_labelled(camvid):
    settings = DataConfig(
        data="camvid", root=str(camvid), split="train/40", unlabelled_split="train"
    )
    labelled, scenes = both(settings)
    assert (labelled, len(scenes)) == (10, 357) and scenes[0].shape == (3, 120, 160)
    rest = dataclasses.replace(settings, unlabelled="rest", unlabelled_split=None)
    assert both(rest)[1].names == scenes.names == sorted(scenes.names)


@pytest.mark.parametrize("state", ["whole", "broken", "missing"])
@pytest.mark.parametrize("kind", ["camvid", "folder"])
def test_labels_of_the_others_are_never_opened(tmp_path, kind, state, opened):
    if kind == "camvid":
        camvid(tmp_path)
        settings = DataConfig(data="camvid", root=str(tmp_path), size=(48, 64), crop=(32, 32))
        labels = tmp_path / "trainannot"
    else:
        settings, labels = folder(tmp_path), tmp_path / "labels/train"
    settings = dataclasses.replace(settings, split="train/4", unlabelled_split="train")
    for number in [number for number in range(12) if number % 4]:
        if state == "broken":
            (labels / f"train{number:03}.png").write_bytes(b"no image")
        elif state == "missing":
            (labels / f"train{number:03}.png").unlink()
    opened.clear()
    source = open_source(settings)
    rows, scenes = labelled_rows(source, settings), open_unlabelled(settings, source)
    assert image_names(rows) == ["train000", "train004", "train008"]
    assert scenes.names == [f"train{number:03}.png" for number in range(12) if number % 4]
    assert all(torch.equal(scenes[0], torch.tensor(photo(1)).permute(2, 0, 1)) for _ in range(2))
    check_unlabelled(settings, source, progress=False)
    assert any("train001" in name for name in opened)
    assert not any(str(labels) in name for name in opened)
    check_before(settings, source, progress=False)  # reads the labels of the labelled ones alone
    seen = {Path(name).stem for name in opened if str(labels) in name}
    assert seen == {"train000", "train004", "train008"}


def test_another_split_needs_no_folder_of_labels(tmp_path):
    settings = folder(tmp_path, unlabelled_split="test")
    for number in range(3):
        save(tmp_path / f"images/test/t{number}.png", photo(200 + number))
    assert (both(settings)[0], both(settings)[1].names) == (12, ["t0.png", "t1.png", "t2.png"])
    root = camvid(tmp_path / "camvid")
    shutil.copytree(root / "train", root / "test")
    settings = DataConfig(data="camvid", root=str(root), labelled="5", unlabelled_split="test")
    labelled, scenes = both(settings)
    assert (labelled, len(scenes)) == (5, 7)  # the same names and bytes


def test_of_a_sequence_that_is_held_out_the_frames_are_without(tmp_path):
    root = camvid(tmp_path, 4)
    for number in range(3):
        save(root / "train" / f"0006R0_{number}.png", photo(50 + number))
        save(root / "trainannot" / f"0006R0_{number}.png", LABEL)
    settings = DataConfig(data="camvid", root=str(root), split="fit", unlabelled_split="train")
    labelled, scenes = both(settings)
    assert labelled == 4 and scenes.names == [f"0006R0_{number}.png" for number in range(3)]


def test_voc_and_cityscapes_need_no_labels(tmp_path):
    voc, city = tmp_path / "voc", tmp_path / "city"
    (voc / "ImageSets/Segmentation").mkdir(parents=True)
    for split, numbers in (("train", range(4)), ("trainval", range(8))):
        names = [f"n{number}" for number in numbers]
        (voc / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join(names))
    for number in range(8):
        save(voc / f"JPEGImages/n{number}.jpg", photo(number))
        ending = "_leftImg8bit.png"
        split = "train_extra" if number % 2 else "train"
        save(city / f"leftImg8bit/{split}/ulm/ulm_{number}{ending}", photo(number))
        if not number % 2:
            save(city / f"gtFine/train/ulm/ulm_{number}_gtFine_labelIds.png", LABEL + 7)
        if number < 4:
            save(voc / f"SegmentationClass/n{number}.png", LABEL)
    settings = DataConfig(data="voc", root=str(voc), unlabelled_split="trainval")
    labelled, scenes = both(settings)
    assert labelled == 4 and scenes.names == [f"n{number}.jpg" for number in range(4, 8)]
    settings = DataConfig(data="cityscapes", root=str(city), unlabelled_split="train_extra")
    assert (both(settings)[0], len(both(settings)[1])) == (4, 4)


def test_computed_scenes_lose_their_labels():
    labelled, scenes = both(DataConfig(split="train/40", unlabelled_split="train/2"))
    toy = Scenes(open_source(DataConfig()), "train", size=(120, 160), cache=False)
    assert (labelled, len(scenes)) == (10, 190) and torch.equal(scenes[0], toy[2][0])


def test_val_as_images_without_labels_is_said(capsys):
    assert len(both(DataConfig(unlabelled_split="val"))[1]) == 100
    assert "students are scored on val" in capsys.readouterr().err


def test_a_labelled_one_without_its_label_is_named(tmp_path):
    settings = folder(tmp_path, labelled="3", unlabelled_split="train")
    (tmp_path / "labels/train/train004.png").unlink()
    refused(settings, "train004 of train has no label")


# the rest


def test_rest_are_the_images_that_have_no_label_file(tmp_path, capsys):
    settings = folder(tmp_path, unlabelled="rest")
    for number in (1, 2, 5):
        (tmp_path / f"labels/train/train{number:03}.png").unlink()
    labelled, scenes = both(settings)
    assert labelled == 9 and scenes.names == ["train001.png", "train002.png", "train005.png"]
    assert (
        "3 images without a label file are left out of the labelled ones" in capsys.readouterr().err
    )
    labelled, scenes = both(dataclasses.replace(settings, labelled="2"))
    assert (labelled, len(scenes)) == (2, 10)
    (tmp_path / "labels/train/spare.png").write_bytes(b"")
    refused_or_named = check_report(open_source(settings), tmp_path, ["train"], progress=False)[0]
    assert "spare.png" in refused_or_named


def test_labels_beside_their_images_are_no_images(tmp_path):
    for number in range(6):
        save(tmp_path / f"train/p{number}.png", photo(number))
        save(tmp_path / f"val/v{number}.png", photo(50 + number))
        save(tmp_path / f"val/v{number}_mask.png", LABEL)
        if number < 2:
            save(tmp_path / f"train/p{number}_mask.png", LABEL)
    settings = DataConfig(data="folder", root=str(tmp_path), classes="rest,road", unlabelled="rest")
    labelled, scenes = both(settings)
    assert labelled == 2 and scenes.names == [f"p{number}.png" for number in range(2, 6)]


def test_where_every_image_has_a_label_nothing_is_left(tmp_path):
    refused(folder(tmp_path, unlabelled="rest"), "no image", "--labelled")
    refused(folder(tmp_path, unlabelled_split="train"), "unlabelled_split is train", "no image")
    refused(folder(tmp_path, unlabelled="rest", labelled="11"), "one image", "two or more")
    refused(folder(tmp_path), "--unlabelled FOLDER")
    refused(folder(tmp_path, unlabelled="rest", unlabelled_split="train"), "one of them")
    refused(folder(tmp_path, unlabelled_split="tomorrow"), "tomorrow")


# a folder


def test_a_folder_of_any_images_in_a_fixed_order(tmp_path):
    settings = folder(tmp_path / "set", unlabelled=str(tmp_path / "more"), size=None)
    save(tmp_path / "more/b.png", photo(1, (60, 50)))
    save(tmp_path / "more/day/a.jpg", photo(2, (40, 90)))
    save(tmp_path / "more/grey.png", photo(3)[..., 0])
    Image.fromarray(photo(4)).convert("RGBA").save(tmp_path / "more/clear.png")
    deep = (photo(5)[..., 0].astype(np.uint16) << 8) + 7
    Image.fromarray(deep).save(tmp_path / "more/deep.png")
    note = Image.Exif()
    note[0x0112] = 6
    Image.fromarray(photo(6)).save(tmp_path / "more/turned.png", exif=note)
    scenes = both(settings)[1]
    assert scenes.names == ["b.png", "clear.png", "day/a.jpg", "deep.png", "grey.png", "turned.png"]
    assert [tuple(image.shape[1:]) for image in scenes] == [
        (60, 50), (48, 64), (40, 90), (48, 64), (48, 64), (64, 48)
    ]  # fmt: skip
    assert (scenes[3].permute(1, 2, 0).numpy() == photo(5)[..., :1]).all()
    assert scenes.names == both(settings)[1].names and pickle.loads(pickle.dumps(scenes)).names
    inside = dataclasses.replace(settings, root=str(tmp_path / "set"), unlabelled="../more")
    assert both(inside)[1].names == scenes.names


def test_the_facade_photos(facade):
    settings = DataConfig(data="folder", root=str(facade), unlabelled="unlabelled")
    scenes = both(settings)[1]
    assert len(scenes) == len(os.listdir(facade / "unlabelled")) and scenes[0].shape[0] == 3


def test_bad_folders_get_one_clear_line(tmp_path):
    settings = folder(tmp_path / "set")
    for name in ("empty", "texts"):
        (tmp_path / name).mkdir()
    (tmp_path / "texts/a.txt").write_text("no image")
    for number in range(5):
        save(tmp_path / f"maps/{number}.png", LABEL)
        save(tmp_path / f"masks/m{number}.png", LABEL)
    save(tmp_path / "one/a.png", photo(1))
    save(tmp_path / "twice/a.png", photo(1))
    save(tmp_path / "twice/a.jpg", photo(1))

    def given(name):
        return dataclasses.replace(settings, unlabelled=str(tmp_path / name))

    refused(given("nowhere"), "no such folder", "nowhere")
    refused(given("empty"), "holds no images")
    refused(given("texts"), "holds no images")
    refused(given("maps"), "holds label images")
    refused(given("masks"), "holds label images")
    refused(given("one"), "one image", "two or more")
    refused(given("twice"), "one image of a name")
    refused(given("set/labels/train"), "the labels of this data set")
    refused(given("set/labels"), "holds label images")
    refused(given("set/images/train"), "no image", "two or more")


def test_colour_maps_are_labels_where_labels_are_colours(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "palette.txt").write_text("rest 0 0 90\nroad 200 0 0\n")
    colours = np.array([(0, 0, 90), (200, 0, 0)], np.uint8)[LABEL]
    for number in range(4):
        save(tmp_path / f"set/images/{number}.png", photo(number))
        save(tmp_path / f"set/labels/{number}.png", colours)
        save(tmp_path / f"maps/m{number}.png", colours)
        save(tmp_path / f"photos/p{number}.png", photo(20 + number))
    settings = DataConfig(
        data="folder", root=str(tmp_path / "set"), palette=str(tmp_path / "palette.txt"),
        val_fraction=0.0,
    )  # fmt: skip
    refused(dataclasses.replace(settings, unlabelled=str(tmp_path / "maps")), "label images")
    found = both(dataclasses.replace(settings, unlabelled=str(tmp_path / "photos")))
    assert (found[0], len(found[1])) == (4, 4)


def test_the_same_images_in_both_are_left_out_and_counted(tmp_path, capsys):
    settings = folder(tmp_path / "set", unlabelled=str(tmp_path / "more"))
    train = tmp_path / "set/images/train"
    for number in range(3):
        save(tmp_path / f"more/new{number}.png", photo(300 + number))
    shutil.copy(train / "train003.png", tmp_path / "more/train003.png")
    (tmp_path / "more/link.png").symlink_to(train / "train004.png")
    save(tmp_path / "more/train005.png", photo(400))  # the name alone is the same
    shutil.copy(tmp_path / "set/images/val/val000.png", tmp_path / "more")
    assert both(settings)[1].names == ["new0.png", "new1.png", "new2.png", "train005.png"]
    said = capsys.readouterr().err
    assert "2 images without labels are left out, among the labelled ones as well" in said
    assert "one image without a label is left out, among those of val as well" in said


def test_images_of_test_are_not_learnt_from(tmp_path, capsys):
    """Those of val were left out, and those of test taken without a word."""
    settings = folder(tmp_path / "set", unlabelled=str(tmp_path / "more"))
    for number in range(3):
        save(tmp_path / f"more/new{number}.png", photo(300 + number))
        save(tmp_path / f"set/images/test/t{number}.png", photo(500 + number))
    shutil.copytree(tmp_path / "set/images", tmp_path / "more/again")
    assert both(settings)[1].names == ["new0.png", "new1.png", "new2.png"]
    said = capsys.readouterr().err
    assert "3 images without labels are left out, among those of test as well" in said


def test_what_is_no_photo_beside_photos_is_said(tmp_path, capsys):
    settings = folder(tmp_path / "set", unlabelled=str(tmp_path / "more"))
    for number in range(2):
        save(tmp_path / f"more/p{number}.png", photo(60 + number))
        save(tmp_path / f"more/p{number}_mask.png", LABEL)
        save(tmp_path / f"more/labels/p{number}.png", LABEL)
    (tmp_path / "more/q.heic").touch()
    assert both(settings)[1].names == ["p0.png", "p1.png"]
    said = capsys.readouterr().err
    assert "called as a label" in said and "holds labels" in said and "heic" in said


def test_images_smaller_than_the_crop_are_said_once(tmp_path, capsys):
    settings = folder(tmp_path / "set", unlabelled=str(tmp_path / "more"), aspect="keep")
    settings = dataclasses.replace(settings, crop=(48, 48))
    for number in range(3):
        save(tmp_path / f"more/p{number}.png", photo(number, (90, 60)))
    assert both(settings)[1] and "smaller" not in capsys.readouterr().err
    both(dataclasses.replace(settings, size=None, crop=(64, 64)))
    said = capsys.readouterr().err
    assert (
        "3 of 3 images without labels that were looked at are smaller than the crop 64x64" in said
    )
    assert said.count("smaller") == 1


# which count as labelled


def test_so_many_evenly_spread_or_those_of_a_list(tmp_path):
    settings = folder(tmp_path, labelled="3")
    source = open_source(settings)
    assert image_names(labelled_rows(source, settings)) == ["train000", "train004", "train008"]
    names = tmp_path / "names.txt"
    names.write_text("# a few\ntrain/train007.png\n\ntrain002\ntrain007\n")
    listed = dataclasses.replace(settings, labelled=str(names))
    assert image_names(labelled_rows(source, listed)) == ["train002", "train007"]
    thin = dataclasses.replace(settings, split="train/2", labelled="2")
    assert image_names(labelled_rows(source, thin)) == ["train000", "train006"]
    names.write_text("train002\nother\nval000\n")
    refused(listed, "names other, 2 of 3")
    names.write_text("# none\n")
    refused(listed, "no name")
    for value, word in (("13", "12 images"), ("0", "12 images"), ("-1", "no such file")):
        refused(dataclasses.replace(settings, labelled=value), f"labelled is {value}", word)


def test_a_name_of_two_images_is_no_label_for_both(tmp_path):
    """Both counted as labelled, without a word."""
    names = tmp_path / "labelled.txt"
    names.write_text("0001\n")
    places = ["street/0001.jpg", "park/0001.jpg", "park/0002.jpg"]
    with pytest.raises(UserError, match="street/0001.jpg and park/0001.jpg; needed: its folder"):
        chosen([0, 1, 2], places, str(names), "train")
    assert chosen([1, 2], places, str(names), "train") == [1]
    names.write_text("park/0002\npark/0001.jpg\n0002\n")
    assert chosen([0, 1, 2], places, str(names), "train") == [1, 2]


def test_the_folder_in_a_list_of_labelled_images_counts(tmp_path):
    """cityA/2.png meant cityB/2.png as well."""
    rows = [f"{tmp_path}/{city}/{n}.png" for city in ("cityA", "cityB") for n in range(4)]
    rows += ["alone.png"]  # as in a Parquet file: its name is all that is known
    names = tmp_path / "names.txt"
    names.write_text(f"cityA/2.png\n{tmp_path}/cityA/3\ntrain/alone.png\n")
    assert chosen([*range(9)], rows, str(names), "train") == [2, 3, 8]
    names.write_text("cityA/2.png\ncityC/3.png\n")
    with pytest.raises(UserError, match="names cityC/3.png, 1 of 2, not in train; needed"):
        chosen([*range(9)], rows, str(names), "train")


def test_without_such_settings_the_rows_are_those_of_the_split(tmp_path):
    settings = folder(tmp_path)
    source = open_source(settings)
    rows = labelled_rows(source, settings)
    assert image_names(rows) == image_names(Scenes(source, "train", tmp_path).rows)
    few = labelled_rows(source, dataclasses.replace(settings, labelled="3"))
    scenes = Scenes(source, "train", tmp_path, (48, 64), rows=few)
    assert len(scenes) == 3 and (scenes[1][0].permute(1, 2, 0).numpy() == photo(4)).all()


# Hugging Face data sets


@pytest.fixture
def rows_with_gaps(tmp_path):
    """A saved data set; every third row has a label."""
    import datasets

    for number in range(9):
        save(tmp_path / f"files/p{number}.png", photo(number))
    save(tmp_path / "files/label.png", LABEL)
    files = tmp_path / "files"
    content = (files / "label.png").read_bytes()
    columns = {
        "image": [{"bytes": (files / f"p{n}.png").read_bytes(), "path": f"p{n}.png"} for n in range(9)],
        "label": [None if n % 3 else {"bytes": content, "path": f"l{n}.png"} for n in range(9)],
    }  # fmt: skip
    kinds = datasets.Features(image=datasets.Image(), label=datasets.Image())
    table = datasets.Dataset.from_dict(columns, features=kinds)
    bad = table.select([1, 2, 4]).map(
        lambda row: {"label": {"bytes": b"broken", "path": "x.png"}},
        features=datasets.Features(image=datasets.Image(decode=False), label=datasets.Image(decode=False)),
    )  # fmt: skip
    val, alone = table.select([0, 3]), table.select([5, 7]).remove_columns("label")
    whole = datasets.DatasetDict(train=table, val=val, broken=bad.cast(kinds), alone=alone)
    whole.save_to_disk(tmp_path / "saved")
    return DataConfig(
        data="hf", root=str(tmp_path / "saved"), classes="rest,road", size=(48, 64), crop=(32, 32)
    )


def test_rows_whose_label_is_none_are_the_rest(rows_with_gaps, capsys):
    rest = dataclasses.replace(rows_with_gaps, unlabelled="rest")
    labelled, scenes = both(rest)
    assert labelled == 3 and scenes.names == [f"p{n}.png" for n in range(9) if n % 3]
    assert (scenes[0].permute(1, 2, 0).numpy() == photo(1)).all()
    assert len(Scenes(open_source(rest), "train", rest.root)) == 3
    assert "6 rows of train without a label are left out" in capsys.readouterr().err
    check_before(rest, open_source(rest), progress=False)
    labelled, scenes = both(dataclasses.replace(rest, labelled="1"))
    assert (labelled, len(scenes)) == (1, 8)


def test_without_that_word_a_row_without_a_label_is_a_mistake(rows_with_gaps):
    with pytest.raises(UserError, match="has no label; needed: --unlabelled rest"):
        check_before(rows_with_gaps, open_source(rows_with_gaps), progress=False)
    picked = dataclasses.replace(rows_with_gaps, labelled="9", unlabelled_split="train")
    refused(picked, "p1 of train has no label, one of 6")


def test_broken_labels_and_splits_without_that_column(rows_with_gaps):
    for split, names in (
        ("broken", ["p1.png", "p2.png", "p4.png"]),
        ("alone", ["p5.png", "p7.png"]),
    ):
        settings = dataclasses.replace(rows_with_gaps, unlabelled="rest")
        settings = dataclasses.replace(settings, unlabelled=None, unlabelled_split=split)
        settings = dataclasses.replace(settings, split="val")
        labelled, scenes = both(settings)
        assert labelled == 2 and scenes.names == names and scenes[1].shape == (3, 48, 64)
        text, problems = check_unlabelled(settings, open_source(settings), progress=False)
        assert problems == 0 and f"without labels: {len(names)} images" in text


def test_a_split_to_learn_labels_from_needs_that_column(rows_with_gaps):
    for settings in ({"unlabelled_split": "alone"}, {"unlabelled": "rest"}, {"labelled": "1"}):
        refused(dataclasses.replace(rows_with_gaps, split="alone", **settings), "label")


def test_packed_data_knows_splits_whose_labels_are_not_used(tmp_path):
    camvid(tmp_path / "camvid")
    out = str(tmp_path / "packed")
    packing = f"data convert camvid --root {tmp_path / 'camvid'} --out {out} --no-progress".split()
    for flags in (["--labelled", "3"], ["--unlabelled", out], ["--unlabelled-split", "val"]):
        assert cli.main(packing + flags) not in (None, 0)
    assert cli.main(packing) in (None, 0)
    settings = DataConfig(data="hf", root=out, labelled="3", unlabelled_split="train")
    labelled, scenes = both(settings)
    assert (labelled, len(scenes)) == (3, 9)
    unpacked = DataConfig(
        data="camvid", root=str(tmp_path / "camvid"), labelled="3", unlabelled_split="train"
    )
    assert scenes.names == both(unpacked)[1].names


def test_a_row_without_a_label_cannot_be_packed(rows_with_gaps, tmp_path, capsys):
    command = f"data convert hf --root {rows_with_gaps.root} --classes rest,road --split train"
    command = [*command.split(), "--no-progress", "--out", str(tmp_path / "packed")]
    assert cli.main(command) not in (None, 0) and not (tmp_path / "packed").exists()
    assert "a row has no label" in capsys.readouterr().err
    assert cli.main([*command, "--unlabelled", "rest"]) in (None, 0)


# memory and time


def test_nothing_is_decoded_before_it_is_needed(tmp_path, monkeypatch):
    settings = folder(tmp_path / "set", 4, unlabelled=str(tmp_path / "many"))
    save(tmp_path / "tiny.png", photo(9, (32, 32)))
    content = (tmp_path / "tiny.png").read_bytes()
    (tmp_path / "many").mkdir()
    for number in range(2000):
        (tmp_path / f"many/{number:04}.png").write_bytes(content)
    headers, decoded, usual = [], [], reading.open_cell
    monkeypatch.setattr(reading, "open_cell", lambda *a: decoded.append(a) or usual(*a))
    looked = reading.upright_size
    monkeypatch.setattr(
        "collab_seg.data.unlabelled.upright_size",
        lambda cell, whole=True: headers.append(whole) or looked(cell, whole),
    )
    scenes = both(settings)[1]
    assert len(scenes) == 2000 and scenes.names[-1] == "1999.png"
    assert decoded == [] and headers == [False] * 24
    assert scenes[7].shape == (3, 48, 48) and len(decoded) == 1  # the shorter side is 48
    assert scenes[7] is scenes[7] and len(decoded) == 1


def test_memory_has_a_limit_that_is_said_once_and_changes_nothing(tmp_path, capsys):
    settings = folder(tmp_path, 6, labelled="1", unlabelled_split="train")
    settings = dataclasses.replace(settings, size=(384, 512), cache_mb=1)  # 0.6 MB an image
    source = open_source(settings)
    free = Scenes(source, "train", tmp_path, settings.read_size, cache=False)
    tight = Scenes(source, "train", tmp_path, settings.read_size, cache_mb=2)
    for _ in range(2):
        for one, other in zip(free, tight):
            assert all(map(torch.equal, one, other))
    said = capsys.readouterr().err
    assert said.count("the memory for images is full after 2 of 6 (--cache-mb 2)") == 1
    assert tight[0][0] is tight[0][0] and tight[5][0] is not tight[5][0]
    scenes = open_unlabelled(settings, source)
    assert all(torch.equal(scenes[n], free[n + 1][0]) for n in (0, 1, 2, 0, 1, 2))
    said = capsys.readouterr().err
    assert said.count("full") == 1 and "images without labels is full after 1 of 5" in said


def test_several_workers_share_the_memory(tmp_path):
    settings = folder(tmp_path, 6, labelled="1", unlabelled_split="train")
    scenes = both(dataclasses.replace(settings, cache_mb=1))[1]
    loader = torch.utils.data.DataLoader(scenes, batch_size=2, num_workers=2)
    assert sum(len(batch) for batch in loader) == 5


# the report, and old runs


def test_check_counts_both(tmp_path, capsys):
    settings = folder(tmp_path)
    shutil.rmtree(tmp_path / "labels/val"), shutil.rmtree(tmp_path / "images/val")
    for number in range(12):
        if number % 4:
            (tmp_path / f"labels/train/train{number:03}.png").write_bytes(b"broken")
    flags = (
        f"data check folder --root {tmp_path} --classes rest,road --val-fraction 0 --split train"
    )
    more = flags.split() + ["--labelled", "3", "--unlabelled-split", "train"]
    assert cli.main(more) in (None, 0)
    said = capsys.readouterr().out
    assert "train: 3 images, 0 problems" in said and "without labels: 9 images, 0 problems" in said
    (tmp_path / "images/train/train001.png").write_bytes(b"broken")
    assert cli.main(more) not in (None, 0)
    assert "without labels: 9 images, 1 problem" in capsys.readouterr().out
    assert settings.unlabelled is None


def test_settings_of_a_split_that_is_only_looked_at(tmp_path):
    settings = folder(tmp_path, unlabelled_split="test", labelled="4")
    for number in range(3):
        save(tmp_path / f"images/test/t{number}.png", photo(200 + number))
    source = open_source(settings)
    text, problems = check_report(source, tmp_path, progress=False, settings=settings)
    assert problems == 0 and "test: its labels are not used" in text and "train: 4 images" in text


def test_a_run_learns_from_what_it_learnt_from_before(tmp_path):
    config = tiny_config()
    assert config.data.unlabelled is None and config.data.labelled is None
    assert len(labelled_rows(open_source(config.data), config.data)) == 400


def test_a_folder_of_photos_beside_the_images_is_not_taken_for_them(tmp_path):
    settings = folder(tmp_path)
    photos = Path(settings.root) / "photos"
    photos.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 48), (number, 9, 9)).save(photos / f"other{number}.jpg")
    with pytest.raises(UserError, match="both images and photos"):
        open_source(settings).load(settings.root, "train")
    for named in ("photos", str(photos)):
        known = dataclasses.replace(settings, unlabelled=named)
        assert len(open_unlabelled(known, open_source(known))) == 3
