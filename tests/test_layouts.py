"""Folders as people have them: where images and labels lie, how they are called, which split is which, what is not read."""

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_config
from PIL import Image

from collab_seg.config import Config, DataConfig, ImageConfig
from collab_seg.core import UserError, say_once
from collab_seg.data.check import check_report
from collab_seg.data.folder import find_folder
from collab_seg.data.hub import read_hf
from collab_seg.data.layouts import in_val, pair_names, split_of
from collab_seg.data.pairs import list_images
from collab_seg.data.parquet import convert
from collab_seg.data.reading import undecoded
from collab_seg.data.sources import open_source
from collab_seg.limits import check_config
from collab_seg.training.loop import train
from collab_seg.use import cli
from collab_seg.use.predict_inputs import find_pictures

LABEL = np.zeros((48, 64), np.uint8)
LABEL[:, 32:] = 1


@pytest.fixture(autouse=True)
def notes_are_said_anew():
    say_once.cache_clear()


def put(root, *names, label=LABEL):
    """Write a label image for each name that has label, mask, gt, ann, seg or _L in it, else a photo."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_label = any(
            sign in name.lower() for sign in ("label", "mask", "gt", "annotation", "seg", "_l.")
        )
        Image.fromarray(label if is_label else np.full((48, 64, 3), 90, np.uint8)).save(path)


def own(root, **settings):
    return ImageConfig(data="folder", root=str(root), classes="rest,road", **settings)


def pairs(root, split, **settings):
    found, problems = find_folder(own(root, **settings), root, split)
    assert problems == []
    return [
        (path.relative_to(root).as_posix(), label.relative_to(root).as_posix())
        for path, label in found
    ]


LAYOUTS = {  # files -> the pair of train, the pair of val
    "folder first": (
        ["images/train/a.jpg", "labels/train/a.png", "images/val/b.jpg", "labels/val/b.png"]
    ),
    "as ADE20K": (
        [
            "images/training/a.jpg",
            "annotations/training/a.png",
            "images/validation/b.jpg",
            "annotations/validation/b.png",
        ]
    ),
    "valid": (
        ["images/train/a.jpg", "labels/train/a.png", "images/valid/b.jpg", "labels/valid/b.png"]
    ),
    "dev": (["images/train/a.jpg", "masks/train/a.png", "images/dev/b.jpg", "masks/dev/b.png"]),
    "eval": (["Images/Train/a.jpg", "Masks/Train/a.png", "Images/Eval/b.jpg", "Masks/Eval/b.png"]),
    "split names differ": (
        ["imgs/train/a.jpg", "gt/training/a.png", "imgs/val/b.jpg", "gt/validation/b.png"]
    ),
    "split first": (
        ["train/images/a.jpg", "train/masks/a.png", "val/images/b.jpg", "val/masks/b.png"]
    ),
    "split first, flat": (["train/a.jpg", "train/a_mask.png", "valid/b.jpg", "valid/b_mask.png"]),
    "split first, prefix": (
        ["train/images/a.jpg", "train/masks/mask_a.png", "val/images/b.jpg", "val/masks/mask_b.png"]
    ),
    "suffix _L": (
        ["images/train/a.png", "labels/train/a_L.png", "images/val/b.png", "labels/val/b_L.png"]
    ),
    "suffix _gt": (
        ["images/train/a.png", "gt/train/a_gt.png", "images/val/b.png", "gt/val/b_gt.png"]
    ),
    "suffix _labelIds": (
        [
            "photos/train/a.png",
            "labels/train/a_labelIds.png",
            "photos/val/b.png",
            "labels/val/b_labelIds.png",
        ]
    ),
    "both suffixed": (["train/a_sat.jpg", "train/a_mask.png", "val/b_sat.jpg", "val/b_mask.png"]),
    "VOC's folders": (
        [
            "JPEGImages/train/a.jpg",
            "SegmentationClass/train/a.png",
            "JPEGImages/val/b.jpg",
            "SegmentationClass/val/b.png",
        ]
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_found_by_itself(tmp_path, name, capsys):
    files = LAYOUTS[name]
    put(tmp_path, *files)
    assert pairs(tmp_path, "train") == [(files[0], files[1])] and pairs(tmp_path, "val") == [
        (files[2], files[3])
    ]
    said = capsys.readouterr().err
    assert ("note: images in" in said) == (name not in ("folder first", "as ADE20K", "valid")), said
    assert check_report(open_source(own(tmp_path)), tmp_path)[1] == 0


def test_images_without_splits_lose_a_part_to_val(tmp_path):
    put(tmp_path, *(f"{n}.jpg" for n in range(30)), *(f"{n}_mask.png" for n in range(30)))
    train_pairs, val_pairs = (
        pairs(tmp_path, split, val_fraction=0.3) for split in ("train", "val")
    )
    assert (
        len(train_pairs) + len(val_pairs) == 30 and val_pairs and not {*train_pairs} & {*val_pairs}
    )
    assert all(
        image.replace(".jpg", "_mask.png") == label for image, label in train_pairs + val_pairs
    )


@pytest.mark.parametrize(
    ("files", "settings", "said"),
    [
        (
            ["images/a.jpg", "labels/a.png", "masks/a.png"],
            {},
            "has both labels and masks; needed: --label-dir says which",
        ),
        (
            ["images/a.jpg", "photos/b.jpg", "labels/a.png"],
            {},
            "has both images and photos; needed: --image-dir says which",
        ),
        (
            ["images/a.jpg", "masks/a_mask.png", "masks/a_gt.png"],
            {},
            "labels are called in 2 ways.*needed: --label-name",
        ),
        (
            ["images/val/a.jpg", "images/valid/b.jpg", "labels/val/a.png"],
            {},
            "has both val and valid",
        ),
        (
            ["images/a.jpg", "labels/a.png"],
            {"image_dir": "fotos"},
            "image_dir is fotos, and there is no folder",
        ),
        (
            ["images/a.jpg", "labels/a.png"],
            {"image_dir": "{split}/x"},
            "no split has such a folder.*train/x",
        ),
        (
            ["other/deep/a.jpg"],
            {},
            "has no folder images, train, or images of its own; needed: the folder of your data",
        ),
        (
            ["images/a.jpg"],
            {},
            "there is no folder .*labels; needed: the label images of this split",
        ),
        (["images/test/a.jpg", "labels/test/a.png"], {}, "has no train images; there: test"),
    ],
)
def test_what_is_in_doubt_is_an_error_with_a_way_out(tmp_path, files, settings, said):
    put(tmp_path, *files)
    with pytest.raises(UserError, match=said):
        find_folder(own(tmp_path, **settings), tmp_path, "train")


def test_settings_decide_what_is_in_doubt(tmp_path):
    put(
        tmp_path,
        "images/a.jpg",
        "labels/a.png",
        "masks/a_mask.png",
        "masks/a_gt.png",
        "fotos/train/a.jpg",
        "fotos/val/a.jpg",
        "truth_labels/train/a.png",
        "truth_labels/val/a.png",
        "train/rgb/c.jpg",
        "train/seg/c.png",
        "val/rgb/d.jpg",
        "val/seg/d.png",
    )
    all_of = {"val_fraction": 0.0}
    assert pairs(tmp_path, "train", label_dir="labels", image_dir="images", **all_of) == [
        ("images/a.jpg", "labels/a.png")
    ]
    assert pairs(
        tmp_path, "train", label_dir="masks", image_dir="images", label_name="{}_gt", **all_of
    ) == [("images/a.jpg", "masks/a_gt.png")]
    assert pairs(tmp_path, "val", image_dir="fotos", label_dir="truth_labels") == [
        ("fotos/val/a.jpg", "truth_labels/val/a.png")
    ]
    assert pairs(tmp_path, "val", image_dir="{split}/rgb", label_dir="{split}/seg") == [
        ("val/rgb/d.jpg", "val/seg/d.png")
    ]


@pytest.mark.parametrize("name", ["mask", "{}{}"])
def test_a_label_name_without_one_place_for_the_name_is_refused(name):
    with pytest.raises(UserError, match="needed: one {} where the name"):
        check_config(Config(data=DataConfig(label_name=name)))


def test_a_folder_that_is_not_used_is_named(tmp_path, capsys):
    put(
        tmp_path,
        "images/train/a.jpg",
        "labels/train/a.png",
        "images/val/b.jpg",
        "labels/val/b.png",
        "images/extra/c.jpg",
    )
    assert check_report(open_source(own(tmp_path)), tmp_path)[1] == 0
    said = capsys.readouterr().err
    assert (
        "images/extra is not used" in said and said.count("note:") == 1
    )  # once, not for each split


def test_images_beside_folders_of_splits_are_named(tmp_path, capsys):
    put(tmp_path, *(f"images/{name}.jpg" for name in ("train/a", "val/b", "loose", "more")))
    put(tmp_path, "labels/train/a.png", "labels/val/b.png")
    assert check_report(open_source(own(tmp_path)), tmp_path)[1] == 0
    said = capsys.readouterr().err
    assert "2 images of" in said and "loose.jpg" in said and said.count("note:") == 1


@pytest.mark.parametrize("pattern", ["{split}/rgb", "rgb/{split}"])
def test_two_folders_of_a_split_are_in_doubt_with_a_pattern_as_well(tmp_path, pattern):
    """The first was taken, without a word."""
    for split, name in (("train", "a"), ("val", "b"), ("valid", "c")):
        put(tmp_path, f"{pattern.replace('{split}', split)}/{name}.jpg", f"masks/{name}.png")
    settings = own(tmp_path, image_dir=pattern, label_dir="masks")
    with pytest.raises(UserError, match="has both val and valid; needed: --split-file, or one"):
        find_folder(settings, tmp_path, "train")


def test_a_valid_folder_is_the_validation_part(tmp_path):
    """It used to be left out without a word, and 5 of 40 training images were called val."""
    put(
        tmp_path,
        *(f"{kind}/train/{n}.png" for kind in ("images", "labels") for n in range(40)),
        *(f"{kind}/valid/v{n}.png" for kind in ("images", "labels") for n in range(3)),
    )
    assert len(pairs(tmp_path, "train")) == 40 and len(pairs(tmp_path, "val")) == 3


def test_splits_of_hugging_face_data_go_by_the_same_names(tmp_path):
    from datasets import DatasetDict

    from collab_seg.data.base import as_dataset

    put(tmp_path, "a.png", "a_mask.png")
    rows = as_dataset([str(tmp_path / "a.png")], [str(tmp_path / "a_mask.png")])
    for number, (name, split) in enumerate(
        (("training", "train"), ("dev", "val"), ("eval", "val"), ("testing", "test"))
    ):
        DatasetDict({name: rows}).save_to_disk(str(tmp_path / f"set{number}"))
        assert [*read_hf(str(tmp_path / f"set{number}"))] == [split] == [split_of(name)]
    assert split_of("extra") is None


# what is read and what is not


@pytest.mark.parametrize("ending", [".tif", ".TIFF", ".gif", ".ppm", ".bmp", ".jfif", ".webp"])
def test_images_of_every_ending_that_is_decoded_are_found_beside_others(tmp_path, ending):
    put(
        tmp_path,
        "images/a.jpg",
        "labels/a.png",
        "labels/b.png",
        f"images/b{ending}" if ending != ".jfif" else "images/b.jpg",
    )
    if ending == ".jfif":
        (tmp_path / "images/b.jpg").rename(tmp_path / "images/b.jfif")
    assert len(pairs(tmp_path, "train", val_fraction=0.0)) == 2
    assert check_report(open_source(own(tmp_path, val_fraction=0.0)), tmp_path, ["train"])[1] == 0
    assert len(find_pictures([tmp_path / "images"])) == 2


def test_labels_may_be_tiff(tmp_path):
    put(tmp_path, "images/a.jpg", "labels/a.tif")
    assert check_report(open_source(own(tmp_path, val_fraction=0.0)), tmp_path, ["train"])[1] == 0


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("images/b.heic", "1 file of .*images end in .heic, such as b.heic; needed: PNG or JPEG"),
        ("images/b.npy", "end in .npy"),
        ("labels/b.mat", "end in .mat"),
        ("images/b.AVIF", "end in .avif"),
        ("images/street/b.jpg", "1 image of .*images/street lie a folder deeper"),
    ],
)
def test_what_is_not_read_is_a_problem_and_stops_training(tmp_path, file, said):
    put(tmp_path, "images/a.jpg", "labels/a.png", "labels/b.png")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    if file.endswith(".jpg"):
        put(tmp_path, file)
    else:
        (tmp_path / file).write_bytes(b"anything")
    source = open_source(own(tmp_path, val_fraction=0.0))
    text, problems = check_report(source, tmp_path, ["train"])
    assert problems >= 2 and "not read: 1" in text
    with pytest.raises(UserError, match=said):
        source.load(tmp_path, "train")


def test_other_folders_beside_images_and_labels_in_one_folder_are_a_note(tmp_path, capsys):
    put(tmp_path, "a.jpg", "a_mask.png", "more/b.jpg")
    assert pairs(tmp_path, "train", val_fraction=0.0) == [("a.jpg", "a_mask.png")]
    assert "note: not read: 1 image of" in capsys.readouterr().err


def test_clutter_is_no_problem(tmp_path):
    put(tmp_path, "images/a.jpg", "labels/a.png")
    for name in (
        "Thumbs.db",
        "classes.txt",
        "readme.md",
        "meta.json",
        ".DS_Store",
        "list.csv",
        "a.xml",
    ):
        (tmp_path / "images" / name).write_text("x")
    (tmp_path / "images" / "notes").mkdir()
    assert pairs(tmp_path, "train", val_fraction=0.0) == [("images/a.jpg", "labels/a.png")]


@pytest.mark.parametrize("ending", ["gif", "tif"])
@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_file_of_several_pictures_is_refused(tmp_path, ending, kind):
    put(tmp_path, "images/a.png", "labels/a.png")
    (tmp_path / kind / "a.png").unlink()
    first, second = Image.fromarray(LABEL), Image.fromarray(LABEL + 1)
    first.save(tmp_path / kind / f"a.{ending}", save_all=True, append_images=[second])
    text, problems = check_report(open_source(own(tmp_path, val_fraction=0.0)), tmp_path, ["train"])
    assert problems == 1 and "holds 2 pictures; needed: one" in text


def test_images_without_labels_are_left_out_where_that_was_said(tmp_path, capsys):
    put(
        tmp_path,
        "images/train/a.jpg",
        "labels/train/a.png",
        "images/train/b.jpg",
        "images/train/c.jpg",
    )
    assert pairs(tmp_path, "train", unlabelled="rest", val_fraction=0.0) == [
        ("images/train/a.jpg", "labels/train/a.png")
    ]
    assert "2 images without a label file are left out" in capsys.readouterr().err
    put(tmp_path, "labels/train/z.png")  # a label without an image stays a problem
    assert len(find_folder(own(tmp_path, unlabelled="rest"), tmp_path, "train")[1]) == 1


# lists


def test_splits_are_lists_of_names_or_paths(tmp_path):
    put(
        tmp_path,
        *(f"images/{n}.jpg" for n in "abcd"),
        *(f"labels/{n}.png" for n in "abcd"),
        "images/my photo.jpg",
        "labels/my photo.png",
    )
    (tmp_path / "train.txt").write_text("# names\na\n\nb.jpg\nmy photo\n")
    (tmp_path / "val.txt").write_text("images/c.jpg labels/c.png\n")
    (tmp_path / "test.txt").write_text("/images/d.jpg 1\n")
    lists = {"split_file": ("train=train.txt", "valid=val.txt", f"test={tmp_path / 'test.txt'}")}
    assert pairs(tmp_path, "train", **lists) == [
        (f"images/{n}.jpg", f"labels/{n}.png") for n in ("a", "b", "my photo")
    ]
    assert pairs(tmp_path, "val", **lists) == [("images/c.jpg", "labels/c.png")]
    assert pairs(tmp_path, "test", **lists) == [("images/d.jpg", "labels/d.png")]


def test_a_list_may_say_itself_where_everything_lies(tmp_path):
    put(tmp_path, "x/1.jpg", "y/2_label.png")
    (tmp_path / "train.txt").write_text("x/1.jpg y/2_label.png\n")
    assert pairs(tmp_path, "train", split_file=("train=train.txt",), val_fraction=0.0) == [
        ("x/1.jpg", "y/2_label.png")
    ]


def test_without_a_list_of_val_a_part_of_train_is_held_out(tmp_path):
    put(tmp_path, *(f"images/{n}.jpg" for n in range(20)), *(f"labels/{n}.png" for n in range(20)))
    (tmp_path / "train.txt").write_text("".join(f"{n}\n" for n in range(15)))
    lists = {"split_file": ("train=train.txt",), "val_fraction": 0.4}
    assert len(pairs(tmp_path, "train", **lists)) + len(pairs(tmp_path, "val", **lists)) == 15


@pytest.mark.parametrize(
    ("entry", "text", "said"),
    [
        ("train.txt", "a\n", "split_file has 'train.txt'; needed: train=FILE"),
        ("extra=train.txt", "a\n", "needed: train=FILE"),
        ("train=none.txt", "a\n", "none.txt cannot be read"),
    ],
)
def test_a_list_that_cannot_be_is_one_line(tmp_path, entry, text, said):
    put(tmp_path, "images/a.jpg", "labels/a.png")
    (tmp_path / "train.txt").write_text(text)
    with pytest.raises(UserError, match=said):
        find_folder(own(tmp_path, split_file=(entry,)), tmp_path, "train")


def test_two_lists_of_one_split_are_refused(tmp_path):
    """Only the last one was read, without a word."""
    put(tmp_path, "images/a.jpg", "labels/a.png", "images/b.jpg", "labels/b.png")
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text(name + "\n")
    lists = ("train=a.txt", "training=b.txt")
    with pytest.raises(UserError, match="'training=b.txt'; needed: .*each once"):
        find_folder(own(tmp_path, split_file=lists), tmp_path, "train")


def test_names_that_are_not_there_or_twice_are_problems(tmp_path):
    put(tmp_path, "images/a.jpg", "labels/a.png", "images/b.jpg")
    (tmp_path / "train.txt").write_text("a\na\nb\nghost\n")
    found, problems = find_folder(
        own(tmp_path, split_file=("train=train.txt",), val_fraction=0.0), tmp_path, "train"
    )
    assert sorted(problem.kind for problem in problems) == [
        "listed twice",
        "missing file",
        "no partner",
    ]


def two_of_a_name(root):
    """Train and val have an image 0001 each."""
    for split in ("train", "val"):
        put(root, f"images/{split}/0001.jpg", f"labels/{split}/0001.png")


@pytest.mark.parametrize("line", ["images/{}/0001.jpg", "{}/0001", "/images/{}/0001.jpg 1"])
def test_the_folder_in_a_line_of_a_list_counts(tmp_path, line):
    """Both lists meant images/val/0001.jpg, without a word."""
    two_of_a_name(tmp_path)
    for split in ("train", "val"):
        (tmp_path / f"{split}.txt").write_text(line.format(split) + "\n")
    lists = {"split_file": ("train=train.txt", "val=val.txt")}
    for split in ("train", "val"):
        expected = [(f"images/{split}/0001.jpg", f"labels/{split}/0001.png")]
        assert pairs(tmp_path, split, **lists) == expected
        rows = undecoded(open_source(own(tmp_path, **lists)).images(tmp_path, split))
        assert rows[0]["image"]["path"] == str(tmp_path / expected[0][0]) and len(rows) == 1


def test_a_name_in_a_list_that_two_images_have_is_refused(tmp_path):
    two_of_a_name(tmp_path)
    (tmp_path / "train.txt").write_text("0001\n")
    settings = own(tmp_path, split_file=("train=train.txt",), val_fraction=0.0)
    for read in (find_folder, lambda one, root, split: open_source(one).images(root, split)):
        with pytest.raises(
            UserError, match="names 0001, .*train.0001.jpg and .*val.0001.jpg.*needed"
        ):
            read(settings, tmp_path, "train")


def test_a_line_with_a_folder_does_not_mean_an_image_of_another(tmp_path):
    put(tmp_path, "images/a.jpg", "labels/a.png")
    (tmp_path / "train.txt").write_text("other/a.jpg\n")
    settings = own(tmp_path, split_file=("train=train.txt",), val_fraction=0.0)
    found, problems = find_folder(settings, tmp_path, "train")
    assert found == [] and [one.kind for one in problems] == ["missing file"]


def test_a_line_of_another_machine_means_the_file_whose_path_it_ends_with(tmp_path):
    put(tmp_path, "images/train/0001.jpg", "images/val/0001.jpg")
    put(tmp_path, "labels/train/0001.png", "labels/val/0001.png")
    (tmp_path / "train.txt").write_text("/there/data/images/train/0001.jpg\n")
    settings = {"split_file": ("train=train.txt",), "val_fraction": 0.0}
    assert pairs(tmp_path, "train", **settings) == [
        ("images/train/0001.jpg", "labels/train/0001.png")
    ]


def test_the_label_in_a_line_of_a_list_counts(tmp_path):
    """The label was the one of the same name in labels/."""
    put(tmp_path, "images/a.jpg", "labels/a.png", "labels_v2/a.png")
    settings = {"split_file": ("train=train.txt",), "val_fraction": 0.0, "label_dir": "labels"}
    settings["image_dir"] = "images"
    for line in (
        "images/a.jpg labels_v2/a.png",
        "a labels_v2/a.png",
        "images/a.jpg /labels_v2/a.png",
    ):
        (tmp_path / "train.txt").write_text(line + "\n")
        assert pairs(tmp_path, "train", **settings) == [("images/a.jpg", "labels_v2/a.png")]
    put(tmp_path, "images/my photo.jpg", "labels/my photo.png", "labels_v2/my photo.png")
    (tmp_path / "train.txt").write_text("images/my photo.jpg labels_v2/my photo.png\n")
    assert pairs(tmp_path, "train", **settings)[0][1] == "labels_v2/my photo.png"
    (tmp_path / "train.txt").write_text("images/a.jpg labels_v3/a.png\n")
    found, problems = find_folder(own(tmp_path, **settings), tmp_path, "train")
    assert found == [] and [one.kind for one in problems] == ["missing file"]
    assert "labels_v3" in problems[0].file


def test_an_image_of_both_lists_is_named(tmp_path):
    put(tmp_path, *(f"images/{n}.jpg" for n in "abc"), *(f"labels/{n}.png" for n in "abc"))
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("images/b.jpg\nc\n")
    source = open_source(own(tmp_path, split_file=("train=train.txt", "val=val.txt")))
    text, count = check_report(source, tmp_path, ["train", "val"], progress=False)
    assert count == 1 and "in val as well: 1\n" in text and text.endswith("b.jpg")
    packed = convert(source, tmp_path, tmp_path / "packed", progress=False)
    source = open_source(ImageConfig(data="hf", root=str(packed)))
    text, count = check_report(source, packed, progress=False)
    assert count == 1 and "in val as well: 1\n" in text and text.endswith("b.jpg")


def test_the_command_line_takes_lists_and_folders(tmp_path, capsys):
    put(
        tmp_path,
        "pictures/a.jpg",
        "pictures/b.jpg",
        "truth_labels/a_seg.png",
        "truth_labels/b_seg.png",
    )
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "val.txt").write_text("b\n")
    command = [
        "data",
        "check",
        "folder",
        "--root",
        str(tmp_path),
        "--classes",
        "rest,road",
        "--image-dir",
        "pictures",
        "--label-dir",
        "truth_labels",
        "--label-name",
        "{}_seg",
        "--split-file",
        "train=train.txt",
        "val=val.txt",
    ]
    assert cli.main(command) == 0, capsys.readouterr().err
    assert "train: 1 image, 0 problems" in capsys.readouterr().out


def test_old_layouts_keep_their_order_and_their_parts(tmp_path):
    """As release 0.1 read them: sorted by name, held out by a hash of the name."""
    put(
        tmp_path, *(f"images/p{n}.png" for n in range(12)), *(f"labels/p{n}.png" for n in range(12))
    )
    names = sorted(f"p{n}" for n in range(12))
    held = [name for name in names if in_val(name, 0.3)]
    assert [Path(image).stem for image, _ in pairs(tmp_path, "val", val_fraction=0.3)] == held
    assert [Path(image).stem for image, _ in pairs(tmp_path, "train", val_fraction=0.3)] == [
        name for name in names if name not in held
    ]
    assert [*list_images(tmp_path / "images")] == names


def test_names_pair_up_by_suffix_prefix_and_in_any_case():
    assert pair_names({"A": 1}, {"a_MASK": 2}) == ({"a_MASK": "A"}, "{}_mask")
    assert pair_names({"x": 1, "y": 1}, {"x": 2, "y_mask": 2}) == (
        {"x": "x"},
        "{}",
    )  # the rest stays without a partner
    assert pair_names({"x": 1}, {"truth x": 2}, "truth {}")[0] == {"truth x": "x"}


# real photos


def shapes(folder):
    """One landscape and one portrait photo."""
    found = {}
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            found.setdefault(image.width > image.height, path)
        if len(found) == 2:
            return [*found.values()]


def test_real_photos_are_checked_learnt_and_segmented(facade, tmp_path):
    config = tiny_config(data="folder", root=str(facade))
    assert check_report(open_source(config.data), facade, ["val"], progress=False)[1] == 0
    run = train(config, tmp_path / "run", progress=False)
    from collab_seg.use.predict import predict_files

    photos = shapes(facade / "images" / "val")
    written = predict_files(run, photos, tmp_path / "seen", progress=False, masks="ids")
    for photo in photos:
        mask = next(
            path
            for path in written
            if path.name == f"{photo.stem}.png" and path.parent.name == "average"
        )
        assert Image.open(mask).size == Image.open(photo).size


def test_the_same_photos_in_their_original_layout(facade, tmp_path):
    """Images in one folder, labels in colours with an alpha channel in another, and the splits as lists."""
    from collab_seg.data.benchmarks import voc_palette

    names = (facade / "classes.txt").read_text().split("\n")
    names = [name.strip() for name in names if name.strip() and not name.startswith("#")]
    colours = voc_palette(len(names) + 1)
    (tmp_path / "colours.txt").write_text(
        "various = 0:0:0\n".replace("various", "void")
        + "".join(f"{name} = {r}:{g}:{b}\n" for name, (r, g, b) in zip(names, colours[1:]))
    )
    table = np.zeros((256, 4), np.uint8)
    table[:, 3] = 255
    for number, colour in enumerate(colours[1:]):
        table[number, :3] = colour
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for split, count in (("train", 12), ("val", 4)):
        photos = sorted((facade / "images" / split).iterdir())[:count]
        (tmp_path / f"{'test' if split == 'val' else split}.txt").write_text(
            "".join(f"{photo.name}\n" for photo in photos)
        )
        for photo in photos:
            os.symlink(photo, tmp_path / "images" / photo.name)
            label = np.array(Image.open(facade / "labels" / split / f"{photo.stem}.png"))
            Image.fromarray(table[label]).save(tmp_path / "labels" / f"{photo.stem}.png")
    config = tiny_config(
        data="folder",
        root=str(tmp_path),
        palette=str(tmp_path / "colours.txt"),
        split_file=("train=train.txt", "val=test.txt"),
    )
    source = open_source(config.data)
    text, problems = check_report(source, tmp_path, ["train", "val"], progress=False)
    assert problems == 0 and "train: 12 images" in text and "val: 4 images" in text
    numbers = open_source(ImageConfig(data="folder", root=str(facade)))
    from collab_seg.data.reading import read_label

    for row in undecoded(source.load(tmp_path, "val")):
        stem = Path(row["label"]["path"]).stem
        same = read_label(
            numbers, {"path": str(facade / "labels/val" / f"{stem}.png"), "bytes": None}
        )
        assert (read_label(source, row["label"]) == same).all()
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, root=str(tmp_path)))
    train(config, tmp_path / "run", progress=False)
    shutil.rmtree(tmp_path / "run")
