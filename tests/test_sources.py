"""VOC, Cityscapes, folders, Hugging Face data sets and converted data, on small trees of the true layout."""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torchvision
from conftest import SMALL
from PIL import Image

from collab_seg.config import DataConfig, ImageConfig
from collab_seg.core import UserError
from collab_seg.data.benchmarks import CITYSCAPES, VOC, file_numbers, find_voc, voc_palette
from collab_seg.data.check import check_report
from collab_seg.data.class_lists import read_classes
from collab_seg.data.classes import labels_of, own_labels
from collab_seg.data.hub import LABELS_FILE, read_hf
from collab_seg.data.layouts import in_val
from collab_seg.data.parquet import convert, packed_row, write_parquet
from collab_seg.data.reading import read_pair, undecoded
from collab_seg.data.scenes import Scenes
from collab_seg.data.sources import get_source, open_source
from collab_seg.students.base import Student
from collab_seg.training.evaluate import window_starts, windowed
from collab_seg.use import cli

HEIGHT, WIDTH = 36, 48
DRAW = np.random.default_rng(0)
PALETTE = voc_palette(256)
# the 19 classes of cityscapesScripts/labels.py: id -> trainId
TRAIN_IDS = {
    7: 0,
    8: 1,
    11: 2,
    12: 3,
    13: 4,
    17: 5,
    19: 6,
    20: 7,
    21: 8,
    22: 9,
    23: 10,
    24: 11,
    25: 12,
    26: 13,
    27: 14,
    28: 15,
    31: 16,
    32: 17,
    33: 18,
}


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """`datasets` keeps what it has read in a folder of the tests."""
    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("cache")
    datasets.disable_progress_bars()
    yield
    datasets.config.HF_DATASETS_CACHE = before


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def classes(count, seed=0, void=255):
    """A label in squares of 12 pixels, with a void border around each."""
    squares = np.random.default_rng(seed).integers(
        0, count, (HEIGHT // 12, WIDTH // 12), dtype=np.uint8
    )
    label = squares.repeat(12, 0).repeat(12, 1)
    label[::12], label[:, ::12] = void, void
    return label


def encoded(array, kind="PNG", palette=None) -> bytes:
    """A picture as the bytes of a file."""
    buffer, image = io.BytesIO(), Image.fromarray(array)
    if palette is not None:
        image.putpalette([value for colour in palette for value in colour])
    image.save(buffer, kind, compress_level=1)  # of PNG: noise does not get smaller
    return buffer.getvalue()


def write(path, content):
    """Write bytes, text or a picture, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, np.ndarray):
        content = encoded(content, "JPEG" if path.suffix == ".jpg" else "PNG")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def make_voc(root: Path, train=4, val=2, more=2) -> Path:
    """VOC's folders: lists of other tasks and objects' labels as well; SBD's labels are grey, not in palette mode."""
    home = root / "VOCdevkit" / "VOC2012"
    names = [f"2007_{number:06}" for number in range(train + val + more)]
    for number, name in enumerate(names):
        write(home / "JPEGImages" / f"{name}.jpg", photo(number))
        if number < train + val:
            write(
                home / "SegmentationClass" / f"{name}.png",
                encoded(classes(21, number), palette=PALETTE),
            )
            write(
                home / "SegmentationObject" / f"{name}.png",
                encoded(classes(3, number) + 1, palette=PALETTE),
            )
        else:
            write(home / "SegmentationClassAug" / f"{name}.png", classes(21, number))
        write(home / "Annotations" / f"{name}.xml", "<annotation/>")
    write(home / "JPEGImages" / "2012_004331.jpg", photo())  # of another task
    for split, part in (
        ("train", names[:train]),
        ("val", names[train : train + val]),
        ("trainval", names[: train + val]),
        ("trainaug", names[:train] + names[train + val :]),
    ):
        write(home / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(part) + "\n")
    write(home / "ImageSets" / "Main" / "train.txt", "2012_004331\n")
    return root


def numbers_of_cityscapes(seed):
    """A label with all 34 numbers."""
    return np.random.default_rng(seed).integers(0, 34, (HEIGHT, WIDTH), dtype=np.uint8)


def make_cityscapes(root: Path) -> Path:
    """Cityscapes' folders, with all four kinds of label files, two cities, and a test split without a class."""
    for number, (split, city) in enumerate(
        [
            ("train", "zurich"),
            ("train", "aachen"),
            ("train", "aachen"),
            ("val", "munster"),
            ("test", "berlin"),
        ]
    ):
        stem = f"{city}_{number:06}_000019"
        write(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", photo(number))
        label = root / "gtFine" / split / city
        ids = numbers_of_cityscapes(number)
        write(
            label / f"{stem}_gtFine_labelIds.png", ids if split != "test" else np.full_like(ids, 3)
        )
        write(label / f"{stem}_gtFine_instanceIds.png", encoded(ids.astype(np.uint16) * 1000))
        write(label / f"{stem}_gtFine_color.png", photo(number))
        write(label / f"{stem}_gtFine_polygons.json", "{}")
    write(root / "license.txt", "not commercial")
    return root


NAMES = "sky\nroad 128 64 128\ncar\n"


def make_folder(root: Path, splits=("train/", "val/"), each=2, labels="labels") -> Path:
    """A folder of own data with three classes."""
    for place, split in enumerate(splits):
        for number in range(each):
            stem = f"{split}photo {place}{number}"
            write(root / "images" / f"{stem}.jpg", photo(number + 10 * place))
            write(root / labels / f"{stem}.png", classes(3, number + 10 * place))
    write(root / "classes.txt", NAMES)
    return root


def pairs_of(source, root, split):
    return [
        (row["image"]["path"], row["label"]["path"]) for row in undecoded(source.load(root, split))
    ]


# PASCAL VOC


def test_voc_has_the_pairs_that_torchvision_reads_from_any_of_three_roots(tmp_path):
    make_voc(tmp_path)
    voc = get_source("voc")
    for split in ("train", "val", "trainval"):
        theirs = torchvision.datasets.VOCSegmentation(tmp_path, "2012", split)
        for root in (tmp_path, tmp_path / "VOCdevkit", tmp_path / "VOCdevkit" / "VOC2012"):
            assert pairs_of(voc, root, split) == list(zip(theirs.images, theirs.targets))


def test_voc_labels_are_class_numbers_with_void_borders(tmp_path):
    make_voc(tmp_path)
    voc = get_source("voc")
    for split, first in (("train", 0), ("val", 4)):
        for number, (image, label) in enumerate(Scenes(voc, split, tmp_path)):
            assert (label.numpy() == classes(21, first + number)).all() and image.shape == (
                3,
                HEIGHT,
                WIDTH,
            )
    assert (
        len(voc.classes) == 21 == len(voc.palette)
        and voc.palette[15] == (192, 128, 128)
        and voc.classes[15] == "person"
    )


@pytest.mark.parametrize("name", ["trainaug", "train_aug"])
@pytest.mark.parametrize("line", ["{}", "/JPEGImages/{}.jpg /SegmentationClassAug/{}.png"])
def test_train_aug_takes_labels_of_sbd_and_else_those_of_voc(tmp_path, name, line):
    home = make_voc(tmp_path) / "VOCdevkit" / "VOC2012"
    path = home / "ImageSets" / "Segmentation" / "trainaug.txt"
    text = "".join(line.format(stem, stem) + "\n" for stem in path.read_text().split())
    path.unlink()
    write(path.with_name(f"{name}.txt"), text)
    folders = [
        Path(label).parent.name for _, label in pairs_of(get_source("voc"), tmp_path, "train_aug")
    ]
    assert folders == ["SegmentationClass"] * 4 + ["SegmentationClassAug"] * 2
    labels = [label for _, label in Scenes(get_source("voc"), "train_aug", tmp_path)]
    assert [
        (label.numpy() == classes(21, n)).all() for label, n in zip(labels, (0, 1, 2, 3, 6, 7))
    ] == [True] * 6


def test_a_whole_voc_has_no_problems(tmp_path, capsys):
    """All 13,495 pairs, as links to one tiny pair; with train_aug only the names are looked at, to save time."""
    home, (jpg, png) = (
        tmp_path / "VOC2012",
        (
            write(tmp_path / "a.jpg", photo()[:8, :8]),
            write(tmp_path / "a.png", classes(21)[:8, :8]),
        ),
    )
    names = [f"2008_{number:06}" for number in range(10582 + 1449)]
    for split, part in (
        ("train", names[:1464]),
        ("trainaug", names[:10582]),
        ("val", names[10582:]),
    ):
        write(home / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(part))
    for folder in ("JPEGImages", "SegmentationClass"):
        (home / folder).mkdir()
    for name in names:
        os.link(jpg, home / "JPEGImages" / f"{name}.jpg")
        os.link(png, home / "SegmentationClass" / f"{name}.png")
    pairs, problems = find_voc(tmp_path, "train_aug")
    assert len(pairs) == 10582 == get_source("voc").splits["train_aug"] and problems == []
    (home / "ImageSets" / "Segmentation" / "trainaug.txt").unlink()
    assert cli.main(["data", "check", "voc", "--root", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert (
        "train: 1464 images, 0 problems" in out
        and "val: 1449 images" in out
        and "train_aug: not there; expected: 10582" in out
    )


HOME = Path("VOCdevkit/VOC2012")
BAD_VOC = {  # what is done to a folder of VOC: a kind of problem, and a word that must be in the report
    "a label is missing": (
        lambda h: (h / "SegmentationClass/2007_000001.png").unlink(),
        "missing file",
        "SegmentationClass/2007_000001.png",
    ),
    "an image is missing": (
        lambda h: (h / "JPEGImages/2007_000001.jpg").unlink(),
        "missing file",
        "JPEGImages/2007_000001.jpg",
    ),
    "a label in colours": (
        lambda h: write(h / "SegmentationClass/2007_000001.png", photo()),
        "wrong mode",
        "mode RGB",
    ),
    "the labels of objects": (
        lambda h: write(
            h / "SegmentationClass/2007_000001.png", encoded(classes(3) + 25, palette=PALETTE)
        ),
        "out of range",
        "holds label",
    ),
    "a label cut short": (
        lambda h: write(h / "SegmentationClass/2007_000001.png", encoded(classes(21))[:100]),
        "unreadable",
        "2007_000001.png",
    ),
    "a label of another size": (
        lambda h: write(h / "SegmentationClass/2007_000001.png", classes(21)[:20]),
        "sizes differ",
        "48x20",
    ),
    "a name twice": (
        lambda h: (h / "ImageSets/Segmentation/train.txt").open("a").write("2007_000001\n"),
        "listed twice",
        "2007_000001",
    ),
    "an image of val": (
        lambda h: (h / "ImageSets/Segmentation/trainaug.txt").open("a").write("2007_000004\n"),
        "in val as well",
        "2007_000004",
    ),
    "no labels of SBD": (
        lambda h: shutil.rmtree(h / "SegmentationClassAug"),
        "missing file: 2",
        "SegmentationClassAug",
    ),
    "no list of train": (
        lambda h: (h / "ImageSets/Segmentation/train.txt").unlink(),
        "missing split",
        "train: not there",
    ),
    "a list that is no text": (
        lambda h: (h / "ImageSets/Segmentation/train.txt").write_bytes(b"\xff\xfe"),
        "missing folder",
        "train.txt",
    ),
}


@pytest.mark.parametrize("name", BAD_VOC)
def test_a_voc_that_is_not_as_it_should_be(name, tmp_path):
    spoil, kind, word = BAD_VOC[name]
    small = dataclasses.replace(VOC, splits={"train": 4, "train_aug": 6, "val": 2})
    assert check_report(small, make_voc(tmp_path))[1] == 0
    spoil(tmp_path / HOME)
    text, problems = check_report(small, tmp_path)
    assert problems >= 1 and kind in text and word in text, text


# Cityscapes


def test_cityscapes_has_the_pairs_that_torchvision_reads(tmp_path):
    root = make_cityscapes(tmp_path / "cityscapes")
    for split in ("train", "val", "test"):
        theirs = torchvision.datasets.Cityscapes(root, split, target_type="semantic")
        both = sorted((image, label[0]) for image, label in zip(theirs.images, theirs.targets))
        for where in (root, tmp_path):
            assert pairs_of(get_source("cityscapes"), where, split) == both


def test_cityscapes_numbers_become_the_19_classes_and_back(tmp_path):
    root, source = make_cityscapes(tmp_path), get_source("cityscapes")
    order = (1, 2, 0)  # aachen before zurich
    for number, (_, label) in zip(order, Scenes(source, "train", root)):
        ids = numbers_of_cityscapes(number)
        wanted = np.vectorize(lambda value: TRAIN_IDS.get(value, 255))(ids)
        assert (label.numpy() == wanted).all() and {*np.unique(ids)} == {*range(34)}
        back = file_numbers(np.where(wanted == 255, 0, wanted), source.label_ids)
        assert (back[wanted != 255] == ids[wanted != 255]).all()
    assert (Scenes(source, "test", root)[0][1] == 255).all(), (
        "the labels of test stay on the server"
    )
    assert source.classes[:3] == ("road", "sidewalk", "building") and source.palette[13] == (
        0,
        0,
        142,
    )


def test_a_whole_cityscapes_has_no_problems_and_coarse_labels_do_not_matter(tmp_path, capsys):
    files = [
        (folder, ending, write(tmp_path / ending, content))
        for folder, ending, content in (
            ("leftImg8bit", "leftImg8bit.png", photo()[:8, :8]),
            ("gtFine", "gtFine_labelIds.png", numbers_of_cityscapes(0)[:8, :8]),
            ("gtFine", "gtFine_instanceIds.png", numbers_of_cityscapes(0)),
            ("gtCoarse", "gtCoarse_labelIds.png", photo()),
        )
    ]
    for split, count in (("train", 2975), ("val", 500)):  # links to one tiny pair
        for number in range(count):
            for folder, ending, file in files[: 4 if split == "train" else 3]:
                city = f"city{number % 3}"
                (tmp_path / folder / split / city).mkdir(parents=True, exist_ok=True)
                os.link(
                    file, tmp_path / folder / split / city / f"{city}_{number:06}_000019_{ending}"
                )
    assert cli.main(["data", "check", "cityscapes", "--root", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert (
        "train: 2975 images, 0 problems" in out
        and "val: 500 images" in out
        and "test: not there; expected: 1525" in out
    )


LABEL = "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png"
BAD_CITYSCAPES = {
    "a label is missing": (
        lambda r: (r / LABEL).unlink(),
        "no partner",
        "aachen_000001_000019_leftImg8bit.png",
    ),
    "an image is missing": (
        lambda r: shutil.rmtree(r / "leftImg8bit/train/zurich"),
        "no partner",
        "zurich_000000_000019_gtFine_labelIds.png",
    ),
    "another kind of label": (
        lambda r: (r / LABEL).rename(r / LABEL.replace("labelIds", "labelTrainIds")),
        "no partner",
        "aachen_000001",
    ),
    "a label in colours": (lambda r: write(r / LABEL, photo()), "wrong mode", "mode RGB"),
    "16 bits": (
        lambda r: write(r / LABEL, encoded(numbers_of_cityscapes(1).astype(np.uint16))),
        "wrong mode",
        "mode I;16",
    ),
    "number 34": (
        lambda r: write(r / LABEL, numbers_of_cityscapes(1) + 1),
        "out of range",
        "holds label 34",
    ),
    "no fine labels": (lambda r: shutil.rmtree(r / "gtFine"), "", "no folder"),
    "a broken image": (
        lambda r: write(r / "leftImg8bit/val/munster/munster_000003_000019_leftImg8bit.png", "404"),
        "unreadable",
        "munster",
    ),
}


@pytest.mark.parametrize("name", BAD_CITYSCAPES)
def test_a_cityscapes_that_is_not_as_it_should_be(name, tmp_path):
    spoil, kind, word = BAD_CITYSCAPES[name]
    small = dataclasses.replace(CITYSCAPES, splits={"train": 3, "val": 1, "test": 1})
    assert check_report(small, make_cityscapes(tmp_path))[1] == 0
    spoil(tmp_path)
    try:
        text, problems = check_report(small, tmp_path)
    except UserError as error:
        text, problems = str(error), 1
    assert problems >= 1 and kind in text and word in text, text


# A folder


def test_a_folder_with_splits_and_one_that_is_named_as_ade20k(tmp_path):
    for number, (splits, labels) in enumerate(
        [(("train/", "val/"), "labels"), (("training/", "validation/"), "annotations")]
    ):
        root = make_folder(tmp_path / str(number), splits, labels=labels)
        source = open_source(ImageConfig("folder", str(root)))
        assert source.classes == ("sky", "road", "car") and source.palette[1] == (128, 64, 128)
        for first, split in ((0, "train"), (10, "val")):
            found = [label.numpy() for _, label in Scenes(source, split, root)]
            assert len(found) == 2 and all(
                (label == classes(3, first + n)).all() for n, label in enumerate(found)
            )
        assert check_report(source, root)[1] == 0
    assert check_report(source, root, ["train"])[1] == 0


def test_a_test_set_without_labels_and_images_that_lie_too_deep_are_named(tmp_path, capsys):
    root = make_folder(tmp_path / "mine", ("train/", "val/"))
    write(root / "images/test/secret.jpg", photo())
    assert cli.main(["data", "check", "folder", "--root", str(root)]) == 0
    assert "test: not there" in capsys.readouterr().out
    assert (
        cli.main(
            [
                "data",
                "convert",
                "folder",
                "--root",
                str(root),
                "--out",
                str(tmp_path / "packed"),
                "--no-progress",
            ]
        )
        == 0
    )
    with pytest.raises(
        UserError, match="no folder .*test; without labels, images can be predicted but not scored"
    ):
        open_source(ImageConfig("folder", str(root))).load(root, "test")
    capsys.readouterr()
    for kind in ("images", "labels"):
        files = list((root / kind / "train").iterdir())
        (root / kind / "train" / "street1").mkdir()
        for file in files:
            file.rename(file.parent / "street1" / file.name)
    assert cli.main(["data", "check", "folder", "--root", str(root)]) == 2
    said = capsys.readouterr().out
    assert (
        "train: 0 images, 2 problems," in said
        and "not read: 2" in said
        and "lie a folder deeper" in said
    )
    assert (
        cli.main(
            [
                "train",
                "--data",
                "folder",
                "--root",
                str(root),
                *SMALL,
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 2
    )
    assert (
        "street1 lie a folder deeper; needed: all of a split directly in" in capsys.readouterr().err
    )


def test_a_problem_of_a_folder_without_val_is_counted_once(tmp_path):
    root = make_folder(tmp_path, ("",), each=8)
    write(root / "images" / "alone.jpg", photo())
    said, count = check_report(
        open_source(ImageConfig("folder", str(root), val_fraction=0.3)), root
    )
    assert count == 1 and said.count("alone.jpg") == 1


def test_a_part_is_held_out_by_the_names_and_stays_when_images_are_added(tmp_path):
    root = make_folder(tmp_path, ("",), each=30)
    settings = ImageConfig("folder", str(root), val_fraction=0.25)
    source = open_source(settings)
    parts = {
        split: {Path(image).stem for image, _ in pairs_of(source, root, split)}
        for split in ("train", "val")
    }
    assert (
        len(parts["train"]) + len(parts["val"]) == 30
        and not parts["train"] & parts["val"]
        and 2 <= len(parts["val"]) <= 14
    )
    for number in range(30, 50):
        write(root / "images" / f"photo 0{number}.jpg", photo())
        write(root / "labels" / f"photo 0{number}.png", classes(3))
    later = {
        split: {Path(image).stem for image, _ in pairs_of(source, root, split)}
        for split in ("train", "val")
    }
    assert all(parts[split] < later[split] for split in parts)
    (root / "images").rename(root / "photos"), (root / "labels").rename(root / "masks")
    for old, new in (("photos", "images"), ("masks", "labels")):
        (root / new).mkdir()
        (root / old).rename(
            root / new / "train"
        )  # a train folder without val is divided in the same way
    again = {
        split: {Path(image).stem for image, _ in pairs_of(source, root, split)}
        for split in ("train", "val")
    }
    assert again == later


def test_what_numbers_mean_can_be_said_in_three_ways(tmp_path):
    raw = np.array([[0, 1, 2, 3, 255]], np.uint8).repeat(3, 0)
    cell = {"path": None, "bytes": encoded(raw)}
    listed = write(tmp_path / "listed.txt", "void\nsky\nroad\n# a remark\n\ncar 1 2 3\n")
    for settings in (
        ImageConfig(classes=str(listed)),
        ImageConfig(classes="sky,road,car", reduce_zero_label=True),
    ):
        source = dataclasses.replace(VOC, **own_labels(settings))
        row = {"image": {"path": None, "bytes": encoded(photo()[:3, :5])}, "label": cell}
        assert read_pair(source, row)[1][0].tolist() == [255, 0, 1, 2, 255]
        assert file_numbers([[0, 1, 2]], source.label_ids).tolist() == [[1, 2, 3]]
    source = dataclasses.replace(VOC, **own_labels(ImageConfig(classes="sky,road", void=(2, 3))))
    assert read_pair(source, row)[1][0].tolist() == [0, 1, 255, 255, 255]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_labels_that_are_colours(tmp_path, mode):
    root = make_folder(tmp_path / "data")
    palette = write(
        tmp_path / "palette.txt",
        "sky 70 130 180\nroad 128 64 128\ncar 0 0 142\nvoid 0 0 0\nvoid 81 0 81\n",
    )
    table = np.zeros((256, 3), np.uint8)
    table[:3], table[255] = [(70, 130, 180), (128, 64, 128), (0, 0, 142)], (81, 0, 81)
    for path in root.glob("labels/*/*.png"):
        image = Image.fromarray(table[np.array(Image.open(path))])
        (
            image.convert(mode)
            if mode != "P"
            else image.convert("P", palette=Image.Palette.ADAPTIVE)
        ).save(path)
    source = open_source(ImageConfig("folder", str(root), palette=str(palette)))
    found = [label.numpy() for _, label in Scenes(source, "train", root)]
    assert (
        all((label == classes(3, n)).all() for n, label in enumerate(found))
        and check_report(source, root)[1] == 0
    )
    write(root / "labels/val/photo 10.png", np.full((HEIGHT, WIDTH, 3), 9, np.uint8))
    text, problems = check_report(source, root)
    assert problems == 1 and "holds colour (9, 9, 9)" in text


# Hugging Face data sets


def rows_of(count=6, names=("image", "label"), path="photo{}.jpg"):
    cells = [
        {
            names[0]: {"path": path.format(n) if path else None, "bytes": encoded(photo(n))},
            names[1]: {"path": None, "bytes": encoded(classes(3, n))},
            "text": "x",
        }
        for n in range(count)
    ]
    image = datasets.Image()
    return datasets.Dataset.from_list(
        cells,
        features=datasets.Features(
            {names[0]: image, names[1]: image, "text": datasets.Value("string")}
        ),
    )


def saved_dict(root, count=6):
    val = rows_of(2, path="val{}.jpg")
    datasets.DatasetDict(train=rows_of(count), validation=val).save_to_disk(root)


def parquet(root, count=6):
    for split, rows in (("train", rows_of(count)), ("validation", rows_of(2, path="val{}.jpg"))):
        (root / "data").mkdir(parents=True, exist_ok=True)
        rows.to_parquet(root / "data" / f"{split}-00000-of-00001.parquet")


def image_folder(root):
    for split, count in (("train", 6), ("validation", 2)):
        lines = ["image_file_name,label_file_name"]
        for n in range(count):
            (
                write(root / split / f"photo{n}.png", photo(n)),
                write(root / split / f"mask{n}.png", classes(3, n)),
            )
            lines.append(f"photo{n}.png,mask{n}.png")
        write(root / split / "metadata.csv", "\n".join(lines) + "\n")


@pytest.mark.parametrize("make", [saved_dict, parquet, image_folder])
def test_data_sets_of_hugging_face_in_three_forms(make, tmp_path):
    make(tmp_path / "set")
    source = open_source(ImageConfig("hf", str(tmp_path / "set"), classes="sky,road,car"))
    assert [*source.splits] == ["train", "val"] and check_report(source, tmp_path / "set")[1] == 0
    for split, count in (("train", 6), ("val", 2)):
        found = list(Scenes(source, split, tmp_path / "set"))
        assert len(found) == count
        for n, (image, label) in enumerate(found):
            assert (image.permute(1, 2, 0).numpy() == photo(n)).all() and (
                label.numpy() == classes(3, n)
            ).all()


@pytest.mark.parametrize("path", ["photo{}.jpg", None])
def test_a_data_set_without_val_and_with_other_columns(path, tmp_path):
    rows_of(40, ("picture", "truth"), path).save_to_disk(tmp_path / "set")
    settings = ImageConfig(
        "hf",
        str(tmp_path / "set"),
        classes="sky,road,car",
        image_column="picture",
        label_column="truth",
        val_fraction=0.3,
    )
    source = open_source(settings)
    labels = {
        split: [label.numpy().tobytes() for _, label in Scenes(source, split, settings.root)]
        for split in ("train", "val")
    }
    assert 4 <= len(labels["val"]) <= 20 and len(labels["train"]) + len(labels["val"]) == 40
    order = [classes(3, n).tobytes() for n in range(40)]
    assert [label for label in order if label in {*labels["train"]}] == labels["train"], (
        "in order, and nothing twice"
    )


@pytest.mark.parametrize("make", [saved_dict, parquet, image_folder])
def test_a_data_set_that_was_written_anew_is_read_anew(make, tmp_path):
    """What was read first was given for as long as the process lived."""
    make(tmp_path / "set")
    first = read_hf(str(tmp_path / "set"))
    assert len(first["train"]) == 6 and read_hf(str(tmp_path / "set")) is first
    for path in (tmp_path / "set").rglob("photo5.png"):
        path.unlink()
    if make is image_folder:
        table = tmp_path / "set/train/metadata.csv"
        table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    else:
        shutil.rmtree(tmp_path / "set")
        make(tmp_path / "set", 5)
    assert len(read_hf(str(tmp_path / "set"))["train"]) == 5


# Converted data


def own_settings(root, kind):
    if kind == "folder":
        return ImageConfig(
            "folder", str(make_folder(root, ("",), each=12)), val_fraction=0.4, void=(7,)
        )
    rows_of(12).save_to_disk(root)
    return ImageConfig("hf", str(root), classes="sky,road,car", val_fraction=0.4)


@pytest.mark.parametrize("name", ["voc", "cityscapes", "folder", "hf", "colours"])
def test_converted_data_has_the_same_bytes_and_the_same_meaning(name, tmp_path, capsys):
    root = tmp_path / "raw"
    if name in ("voc", "cityscapes"):
        settings = ImageConfig(
            name, str({"voc": make_voc, "cityscapes": make_cityscapes}[name](root))
        )
        options = []
    elif name == "colours":
        palette = write(tmp_path / "palette.txt", "sky 70 130 180\nroad 128 64 128\nvoid 0 0 0\n")
        settings = ImageConfig("folder", str(make_folder(root)), palette=str(palette))
        options = ["--palette", str(palette)]
    else:
        settings = own_settings(root, name)
        options = [
            "--val-fraction",
            "0.4",
            *(["--classes", settings.classes] if settings.classes else ["--void", "7"]),
        ]
    before, out = open_source(settings), tmp_path / "out"
    assert (
        cli.main(
            [
                "data",
                "convert",
                settings.data,
                "--root",
                str(root),
                "--out",
                str(out),
                *options,
                "--no-progress",
            ]
        )
        == 0
    )
    after = open_source(ImageConfig("hf", str(out)))
    assert labels_of(after) == labels_of(before)
    assert {*after.splits} == {
        split for split in before.splits if split != "test" or name == "cityscapes"
    }
    for split in after.splits:
        rows = [
            undecoded(source.load(where, split)) for source, where in ((before, root), (after, out))
        ]
        assert len(rows[0]) == len(rows[1]) > 0
        for one, other in zip(*rows):
            assert packed_row(one, root) == other
            if one["label"]["path"] and name != "hf":
                assert Path(one["label"]["path"]).read_bytes() == other["label"]["bytes"]
    if name != "colours":
        assert all(
            torch.equal(a, b)
            for pair in zip(Scenes(before, "val", root), Scenes(after, "val", out))
            for a, b in zip(*pair)
        )
    again = tmp_path / "again"  # converted data is a source like any other
    assert (
        cli.main(
            ["data", "convert", "hf", "--root", str(out), "--out", str(again), "--no-progress"]
        )
        == 0
    )
    for file in out.glob("data/*.parquet"):
        assert pq.read_table(file).equals(pq.read_table(again / "data" / file.name))


def test_converted_data_that_lost_a_file_is_not_patched_from_its_training_images(tmp_path, capsys):
    root, out = make_folder(tmp_path / "raw", each=9), tmp_path / "out"
    assert (
        cli.main(
            ["data", "convert", "folder", "--root", str(root), "--out", str(out), "--no-progress"]
        )
        == 0
    )
    assert open_source(ImageConfig("hf", str(out))).splits == {"train": 9, "val": 9}
    for given in ({"classes": "a,b"}, {"label_values": (5, 9)}):  # values were left out in silence
        with pytest.raises(UserError, match="says what the labels mean.*--label-values"):
            open_source(ImageConfig("hf", str(out), **given))
    (out / "data/val-00000-of-00001.parquet").unlink()
    read_hf.cache_clear()
    capsys.readouterr()
    assert cli.main(["data", "check", "hf", "--root", str(out)]) == 2
    assert "val: not there; expected: 9 images" in capsys.readouterr().out
    run = tmp_path / "run"
    assert cli.main(["train", "--data", "hf", "--root", str(out), *SMALL, "--out", str(run)]) == 2
    assert "has no file of val" in capsys.readouterr().err
    about = out / LABELS_FILE
    about.write_text(about.read_text().replace('"val": 9', '"val": "9"'))
    with pytest.raises(UserError, match="needed: how many each split has"):
        open_source(ImageConfig("hf", str(out)))


def test_a_hub_that_nobody_answers_for_is_one_line(tmp_path):
    """Also where the user has not said that there is no network, as HF_HUB_OFFLINE does in these tests."""
    where = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    command = [
        sys.executable,
        "-m",
        "collab_seg",
        "data",
        "check",
        "hf",
        "--root",
        "nobody/typo",
        "--classes",
        "a,b",
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        env=where | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)},
    )
    assert (
        done.returncode == 2
        and "nobody/typo cannot be had (the Hugging Face hub does not answer" in done.stderr
    )
    assert done.stderr.count("\n") == 1, done.stderr


def test_what_a_killed_conversion_left_is_swept_away(tmp_path, monkeypatch):
    root, out = make_folder(tmp_path / "raw"), tmp_path / "out"
    source = open_source(ImageConfig("folder", str(root)))
    write(tmp_path / ".out.part" / "data" / "train-00000-of-00001.parquet", "half of a file")
    write(tmp_path / ".out.part" / "data" / "old-00000-of-00001.parquet", "of other data")
    kept = write_parquet

    def stop(path, *rest):
        kept(path, *rest)
        raise KeyboardInterrupt

    monkeypatch.setattr("collab_seg.data.parquet.write_parquet", stop)
    with pytest.raises(KeyboardInterrupt):
        convert(source, root, out, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]
    monkeypatch.undo()
    convert(source, root, out, progress=False)
    assert sorted(path.name for path in out.glob("*/*")) == [
        "train-00000-of-00001.parquet",
        "val-00000-of-00001.parquet",
    ]
    (root / "labels" / "val" / "photo 10.png").unlink()
    with pytest.raises(UserError, match="photo 10"):
        convert(source, root, tmp_path / "second", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw"]


# A run on own data, from training to masks


@pytest.fixture(scope="module")
def own_run(tmp_path_factory):
    """A run of two steps on a folder whose labels are numbered from 1, and its masks while the data was there."""
    folder = tmp_path_factory.mktemp("own")
    root = make_folder(folder / "data")
    write(root / "classes.txt", "void\nsky 70 130 180\nroad\ncar\n")
    for path in root.glob("labels/*/*.png"):
        label = np.array(Image.open(path))
        write(path, np.where(label == 255, 0, label + 1).astype(np.uint8))
    run = folder / "run"
    assert (
        cli.main(["train", "--data", "folder", "--root", str(root), *SMALL, "--out", str(run)]) == 0
    )
    return folder


def test_own_data_is_trained_on_scored_and_predicted(own_run, tmp_path, capsys):
    run, picture = own_run / "run", write(tmp_path / "photo.png", photo())
    assert cli.main(["eval", str(run), "--no-progress"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].startswith("folder, val: 2 images") and all(
        name in out for name in ("sky", "road", "car")
    )
    known = json.loads((run / "classes.json").read_text())
    assert (
        known["classes"] == ["sky", "road", "car"]
        and known["label_ids"] == [1, 2, 3]
        and known["palette"][0] == [70, 130, 180]
    )
    for masks in ("colour", "ids"):
        assert (
            cli.main(
                [
                    "predict",
                    str(run),
                    str(picture),
                    "--out",
                    str(tmp_path / masks),
                    "--masks",
                    masks,
                ]
            )
            == 0
        )
    ids = np.array(Image.open(tmp_path / "ids" / "average" / "photo.png"))
    shown = np.array(Image.open(tmp_path / "colour" / "photo_average.png"))
    assert ids.shape == (HEIGHT, WIDTH) and {*np.unique(ids)} <= {1, 2, 3}
    assert (shown == np.array([(0, 0, 0), *known["palette"]], np.uint8)[ids]).all()
    assert sorted(path.name for path in (tmp_path / "ids").iterdir()) == [
        "average",
        "cnn",
        "predictions.csv",
        "vit",
    ]


def test_masks_are_the_same_when_the_data_is_gone(own_run, tmp_path, capsys):
    picture = write(tmp_path / "photo.png", photo())
    assert (
        cli.main(["predict", str(own_run / "run"), str(picture), "--out", str(tmp_path / "before")])
        == 0
    )
    (own_run / "data").rename(own_run / "elsewhere")
    try:
        assert (
            cli.main(
                ["predict", str(own_run / "run"), str(picture), "--out", str(tmp_path / "after")]
            )
            == 0
        )
        for file in (tmp_path / "before").iterdir():
            assert file.read_bytes() == (tmp_path / "after" / file.name).read_bytes()
        capsys.readouterr()
        assert cli.main(["eval", str(own_run / "run"), "--no-progress"]) == 2
        assert "there is no folder" in capsys.readouterr().err
        assert (
            cli.main(
                [
                    "eval",
                    str(own_run / "run"),
                    "--root",
                    str(own_run / "elsewhere"),
                    "--no-progress",
                ]
            )
            == 0
        )
        first = json.loads((own_run / "run" / "scores_folder_val.json").read_text())
        assert len(first) == 3
    finally:
        (own_run / "elsewhere").rename(own_run / "data")


def test_a_run_is_not_scored_on_other_classes(own_run, tmp_path, capsys):
    other = make_folder(tmp_path / "other")
    write(other / "classes.txt", "sky\nroad\nbus\n")
    for arguments in (["--root", str(other)], ["--data", "toyscapes"]):
        assert cli.main(["eval", str(own_run / "run"), *arguments, "--no-progress"]) == 2
        assert "has learnt the classes sky, road, car" in capsys.readouterr().err


def test_the_classes_of_a_run_cannot_be_forged_into_something_that_crashes(
    own_run, tmp_path, capsys
):
    picture = write(tmp_path / "photo.png", photo())
    whole = json.loads((own_run / "run" / "classes.json").read_text())
    shutil.copytree(own_run / "run", tmp_path / "run")
    for number, wrong in enumerate(
        [
            {"classes": ["a"]},
            {"classes": "abc"},
            {"palette": [[0, 0, 0]]},
            {"palette": [[0, 0]] * 3},
            {"palette": [[0, 0, 300]] * 3},
            {"label_ids": [1, 2]},
            {"label_ids": [1, 2, -3]},
            {"label_ids": 3},
            {"void_ids": None},
            {"void_ids": ["a"]},
            {"void_colours": [7]},
            {"classes": [1, 2, 3]},
            {"palette": None},
            {"palette": 5},
            {"palette": [1, 2, 3]},
            {"void_ids": [True]},
        ]
    ):
        write(tmp_path / "run" / "classes.json", json.dumps(whole | wrong))
        assert (
            cli.main(
                ["predict", str(tmp_path / "run"), str(picture), "--out", str(tmp_path / "out")]
            )
            == 2
        ), wrong
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and "classes.json" in said, (wrong, said)


# Scores at the images' own size, and window by window


class Average(torch.nn.Module):
    """Stands in for the layers of a student: features are the image's values around a pixel, at a quarter of its size."""

    def forward(self, images):
        return [torch.nn.functional.avg_pool2d(images, 4, ceil_mode=True)]


def simple_student():
    torch.manual_seed(0)
    first = torch.nn.Identity()
    first.forward = lambda features: features[0]
    return Student(Average(), first, 3, 3, 5).eval()


@pytest.mark.parametrize("size", [(36, 48), (35, 47), (101, 33), (64, 64)])
def test_a_window_no_smaller_than_the_image_gives_the_whole_image(size):
    student, images = simple_student(), torch.randn(2, 3, *size)
    whole = student.probabilities(images, (50, 60))
    for window in (size, (size[0] + 1, size[1]), (500, 500)):
        for stride in (None, (1, 1), window):
            assert torch.equal(windowed(student, images, (50, 60), window, stride), whole)


@pytest.mark.parametrize("size", [(36, 48), (101, 33), (33, 97)])
@pytest.mark.parametrize(
    "window,stride",
    [((32, 32), None), ((32, 32), (32, 32)), ((20, 40), (1, 40)), ((33, 33), (7, 13))],
)
def test_windows_are_averaged_where_they_overlap_and_leave_no_pixel_out(size, window, stride):
    student, images = simple_student(), torch.randn(1, 3, *size)
    step = stride or [2 * side // 3 for side in window]
    total, seen = torch.zeros(1, 5, *size), torch.zeros(size)
    places = [
        (top, left)
        for top in window_starts(size[0], window[0], step[0])
        for left in window_starts(size[1], window[1], step[1])
    ]
    for top, left in places:
        rows, columns = (
            slice(top, min(top + window[0], size[0])),
            slice(left, min(left + window[1], size[1])),
        )
        part = images[..., rows, columns]
        logits = torch.nn.functional.interpolate(
            student(part).logits, part.shape[-2:], mode="bilinear"
        )
        total[..., rows, columns] += logits.detach()
        seen[rows, columns] += 1
    assert seen.min() >= 1, "every pixel is covered"
    assert torch.allclose(
        windowed(student, images, size, window, stride), (total / seen).softmax(1), atol=1e-6
    )


def test_eval_at_the_own_size_and_by_windows(own_run, capsys):
    run, files = own_run / "run", {}
    for name, options in {
        "run": [],
        "own": ["--size", "own"],
        "one": ["--size", "own", "--window", "64", "64"],
        "many": ["--size", "own", "--window", "32", "32", "--stride", "16", "20"],
    }.items():
        files[name] = own_run / f"{name}.json"
        assert (
            cli.main(["eval", str(run), "--no-progress", "--json", str(files[name]), *options]) == 0
        ), name
    rows = {name: json.loads(file.read_text()) for name, file in files.items()}
    scores = {
        name: [
            {key: row[key] for key in row if key.startswith(("miou", "iou_"))} for row in rows[name]
        ]
        for name in rows
    }
    assert scores["one"] == scores["own"] and rows["many"][0]["window"] == [32, 32]
    before = (run / "scores_folder_val.json").read_bytes()
    assert cli.main(["eval", str(run), "--no-progress", "--size", "own"]) == 0
    assert (run / "scores_folder_val.json").read_bytes() == before, (
        "what `reproduce` compares stays"
    )


def test_a_split_without_one_label_is_no_score(own_run, tmp_path, capsys):
    """As the test split of Cityscapes, whose labels are kept by its server."""
    root = make_folder(tmp_path, ("test/",))
    for label in (root / "labels" / "test").iterdir():
        write(label, np.full((HEIGHT, WIDTH), 255, np.uint8))
    assert (
        cli.main(
            ["eval", str(own_run / "run"), "--root", str(root), "--split", "test", "--no-progress"]
        )
        == 2
    )
    assert (
        "no pixel of test of folder has a label; needed: a split with labels"
        in capsys.readouterr().err
    )


# Mistakes


def mistakes(folder, root):
    """Name: (arguments, words that the line must have)."""
    own, hf = ["--data", "folder", "--root", str(root)], str(folder / "saved")
    train_own = ["train", *SMALL, "--out", str(folder / "run")]
    nothing = str(folder / "nothing")
    return {
        "no root": (["data", "check", "folder"], "--root DIR"),
        "a root that is not there": (["data", "check", "voc", "--root", nothing], nothing),
        "a root without images": (
            ["data", "check", "folder", "--root", str(folder), "--classes", "a,b"],
            "has no folder images",
        ),
        "no classes": (
            ["data", "check", "folder", "--root", str(folder)],
            "--classes road,sky,car",
        ),
        "one class": ([*train_own, *own, "--classes", "sky,"], "1 classes"),
        "a class twice": ([*train_own, *own, "--classes", "sky,road,sky"], "listed twice"),
        "a class list that is not there": (
            [*train_own, *own, "--classes", "nowhere.txt"],
            "nowhere.txt",
        ),
        "a class list that is a photo": (
            [*train_own, *own, "--classes", str(folder / "photo.png")],
            "photo.png",
        ),
        "300 classes": (
            [*train_own, *own, "--classes", ",".join(f"c{n}" for n in range(300))],
            "300 classes",
        ),
        "classes and palette": (
            [*train_own, *own, "--classes", "a,b", "--palette", "p.txt"],
            "one of them",
        ),
        "a palette that is not there": ([*train_own, *own, "--palette", nothing], nothing),
        "a palette without colours": (
            [*train_own, *own, "--palette", str(root / "classes.txt")],
            "no colour for 'sky'",
        ),
        "a palette with a colour twice": (
            [*train_own, *own, "--palette", str(folder / "twice.txt")],
            "'sky' and 'road' the colour (1, 2, 3)",
        ),
        "a palette with colour 300": (
            [*train_own, *own, "--palette", str(folder / "300.txt")],
            "'road 300 2 3'",
        ),
        "a palette and void numbers": (
            [*train_own, *own, "--palette", str(folder / "good.txt"), "--void", "3"],
            "void r g b",
        ),
        "colours that the palette lacks": (
            [*train_own, *own, "--palette", str(folder / "good.txt")],
            "holds colour",
        ),
        "void is a class": ([*train_own, *own, "--void", "1"], "'road'"),
        "void is 300": ([*train_own, *own, "--void", "300"], "void"),
        "val_fraction is 1": ([*train_own, *own, "--val-fraction", "1"], "val_fraction"),
        "val_fraction is no number": ([*train_own, *own, "--val-fraction", "half"], "half"),
        "a class too few": ([*train_own, *own, "--classes", "sky,road"], "holds label 2"),
        "a split that is not there": ([*train_own, *own, "--split", "test"], "test"),
        "a split of no name": (
            ["data", "check", "folder", "--root", str(root), "--split", "../val"],
            "split",
        ),
        "hf without a root": (["data", "check", "hf"], "--root"),
        "hf: a name that is not on this machine": (
            ["data", "check", "hf", "--root", "nobody/nothing", "--classes", "a,b"],
            "nobody/nothing",
        ),
        "hf: a folder of text": (
            ["data", "check", "hf", "--root", str(folder / "texts"), "--classes", "a,b"],
            "column",
        ),
        "hf: a folder of nothing": (
            ["data", "check", "hf", "--root", str(folder / "empty"), "--classes", "a,b"],
            "cannot be had",
        ),
        "hf: no classes": (["data", "check", "hf", "--root", hf], "--classes"),
        "hf: a column that is not there": (
            ["data", "check", "hf", "--root", hf, "--classes", "a,b", "--label-column", "mask"],
            "the label column is mask",
        ),
        "hf: a column of texts": (
            ["data", "check", "hf", "--root", hf, "--classes", "a,b", "--label-column", "text"],
            "text (Value)",
        ),
        "hf: one column for both": (
            ["data", "check", "hf", "--root", hf, "--classes", "a,b", "--label-column", "image"],
            "two columns",
        ),
        "hf: a class too few": (
            ["data", "check", "hf", "--root", hf, "--classes", "a,b"],
            "problems found",
        ),
        "hf: a split that is not there": (
            ["data", "show", "hf", "--root", hf, "--classes", "a,b,c", "--split", "test"],
            "test",
        ),
        "convert onto a folder": (
            ["data", "convert", "folder", "--root", str(root), "--out", str(folder)],
            "is there already",
        ),
        "convert below a file": (
            [
                "data",
                "convert",
                "folder",
                "--root",
                str(root),
                "--out",
                str(folder / "photo.png" / "x"),
            ],
            "photo.png",
        ),
        "convert a split that is not there": (
            ["data", "convert", "folder", "--root", str(root), "--split", "x", "--out", nothing],
            "split",
        ),
        "convert a copy that lacks a file": (
            ["data", "convert", "folder", "--root", str(folder / "lacks"), "--out", nothing],
            "no partner",
        ),
        "converted data whose JSON is cut": (
            ["data", "check", "hf", "--root", str(folder / "cut")],
            "collab_seg.json",
        ),
        "data without a name": (["data", "check"], "data"),
    }


@pytest.fixture(scope="module")
def wrong_things(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    root = make_folder(folder / "data")
    make_folder(folder / "lacks")
    (folder / "lacks/images/val/photo 10.jpg").unlink()
    write(folder / "photo.png", photo())
    write(folder / "twice.txt", "sky 1 2 3\nroad 1 2 3\n")
    write(folder / "300.txt", "sky 1 2 3\nroad 300 2 3\n")
    write(folder / "good.txt", "sky 1 2 3\nroad 3 2 3\n")
    write(folder / "texts" / "train.csv", "a,b\n1,2\n")
    write(folder / "cut" / "collab_seg.json", '{"classes": [')
    (folder / "empty").mkdir()
    rows_of().save_to_disk(folder / "saved")
    return folder, root


@pytest.mark.parametrize("name", mistakes(Path("x"), Path("x")))
def test_a_mistake_is_answered_by_one_line(name, wrong_things, capfd, monkeypatch):
    folder, root = wrong_things
    arguments, word = mistakes(folder, root)[name]
    monkeypatch.chdir(folder)
    before = sorted(path for path in folder.rglob("*"))
    capfd.readouterr()
    assert cli.main(arguments) == 2
    said = capfd.readouterr().err
    assert (
        said.startswith("collab-seg: ")
        and said.count("\n") == 1
        and "Traceback" not in said
        and word in said
    ), said
    assert sorted(path for path in folder.rglob("*")) == before, "nothing is left behind"


def test_settings_of_own_data_do_not_change_the_names_of_old_runs():
    from collab_seg.config import Config, OptimConfig, config_from_dict, config_sha

    old = {
        "data": {
            "data": "camvid",
            "root": None,
            "split": "train",
            "size": [120, 160],
            "crop": [96, 128],
            "scale": [0.75, 1.5],
            "jitter": 0.3,
            "cache": True,
            "workers": 0,
        }
    }
    assert config_sha(config_from_dict(Config, old)) == config_sha(
        Config(data=DataConfig(data="camvid", scale=(0.75, 1.5)))
    )
    assert config_sha(Config()) == "2cbb318dcce3" and config_sha(
        Config(data=DataConfig(void=(3,)))
    ) != config_sha(Config())
    assert config_sha(Config(optim=OptimConfig(steps=7))) != config_sha(Config())


def test_a_colour_that_is_one_number_short_does_not_become_a_name(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text("sky 0 0 255\nroad 128 64\n")
    with pytest.raises(UserError, match="'road 128 64'; needed: `name r g b`"):
        read_classes(file)
    file.write_text("lane 1\nlane 2\n")  # names without any colours may end in numbers
    assert [line.name for line in read_classes(file)] == ["lane 1", "lane 2"]


def test_a_name_with_an_accent_stays_on_its_side_however_it_is_spelled():
    names = [f"café {number}" for number in range(40)]
    assert [in_val(unicodedata.normalize("NFD", name), 0.5) for name in names] == [
        in_val(name, 0.5) for name in names
    ]
