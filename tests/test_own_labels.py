"""What the labels of own data mean: class lists and palettes of every usual form, label images of every mode, and what is
said, before the first step, about classes without a pixel."""

import dataclasses
import json
import os
import struct
import zlib

import numpy as np
import pytest
from commands import run_command
from conftest import tiny_config
from PIL import Image

from collab_seg.config import ImageConfig
from collab_seg.core import UserError
from collab_seg.data.benchmarks import voc_palette
from collab_seg.data.check import check_before, check_report, check_split, scan_rows
from collab_seg.data.class_lists import ClassLine, read_classes
from collab_seg.data.classes import own_labels
from collab_seg.data.reading import read_image, read_label
from collab_seg.data.sources import open_source
from collab_seg.limits import check_ranges
from collab_seg.training.evaluate import score_run
from collab_seg.training.loop import train

A, B = ClassLine("sky", (1, 2, 3)), ClassLine("road", (4, 5, 6))
BOM = "\ufeff"
LISTS = {  # a class list, and what it says
    "sky\nroad\n": [ClassLine("sky"), ClassLine("road")],
    f"{BOM}# a comment\nsky\n\nroad": [ClassLine("sky"), ClassLine("road")],
    f"{BOM}sky 1 2 3\r\nroad 4 5 6\r\n": [A, B],
    "name,r,g,b\nsky,1,2,3\nroad,4,5,6\n": [A, B],
    f"{BOM}name,r,g,b\nsky,1,2,3\nroad,4,5,6\n": [A, B],
    "Class Name;Red;Green;Blue\nsky;1;2;3\nroad;4;5;6\n": [A, B],
    "r g b name\n1 2 3 sky\n4 5 6 road\n": [A, B],
    "Pixel Value, Class\n0, background\n1, cat\n": [
        ClassLine("background", None, 0),
        ClassLine("cat", None, 1),
    ],
    "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.15\t11664\t1172\t1\twall\n2\t0.1\t6046\t612\t1\tbuilding, "
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    ""
    "edifice\n": [ClassLine("wall", None, 1), ClassLine("building edifice", None, 2)],
    "# label:color_rgb:parts:actions\nsky:1,2,3::\nroad:4,5,6:lane,kerb:\n": [A, B],
    "label:color_rgb:parts:actions\nsky:1,2,3::\nroad:4,5,6::\n": [A, B],
    "sky = 1:2:3\nroad = 4:5:6\n": [A, B],
    "sky: 1, 2, 3\nroad: 4, 5, 6\n": [A, B],
    "1,2,3,sky\n4,5,6,road\n": [A, B],
    "1 2 3\tsky\n4 5 6\t\troad\n": [A, B],
    "sky 1 2 3 255\nroad 4 5 6 255\n": [A, B],
    "1 2 3 255 sky\n4 5 6 255 road\n": [A, B],
    "id,name,colour\n0,sky,1 2 3\n7,road,4 5 6\n": [A._replace(number=0), B._replace(number=7)],
    "0 sky\n7 road\n": [ClassLine("sky", None, 0), ClassLine("road", None, 7)],
    "0,sky,1,2,3\n1,road,4,5,6\n": [A._replace(number=0), B._replace(number=1)],
    "lane 1\nlane 2\n": [ClassLine("lane 1"), ClassLine("lane 2")],
    "lane 1 1 2 3\nlane 2 4 5 6\n": [A._replace(name="lane 1"), B._replace(name="lane 2")],
    "traffic light 1 2 3\nvoid\nroad 4 5 6\n": [
        A._replace(name="traffic light"),
        ClassLine("void"),
        B,
    ],
}


@pytest.mark.parametrize("text", LISTS, ids=lambda text: text.split("\n")[0][:30])
def test_a_class_list_of_any_usual_form_is_read(tmp_path, text):
    (tmp_path / "list").write_bytes(text.encode())
    assert read_classes(tmp_path / "list") == LISTS[text]


@pytest.mark.parametrize(
    ("text", "said"),
    {
        "name\nsky\nroad\n": "begins with 'name', which looks like a header; needed: names only",
        "nom rouge vert bleu\nsky 1 2 3\nroad 4 5 6\n": "begins with 'nom rouge vert bleu', the only line without a colour",
        '{"sky": 0}\n': "has the line '{\"sky\": 0}'; needed: a name, `name r g b`",
        "id,trainId,name\n0,0,sky\n": "header 'id,trainId,name' with two columns for the number",
        "name,r,g,b\nsky,1,2\n": "line 'sky,1,2', which does not fit its header 'name,r,g,b'",
        "Pixel Value, Class\nx, sky\n": "line 'x, sky', which does not fit its header",
        "sky 1 2 3\nroad 4 5\n": "line 'road 4 5'; needed: `name r g b`, or a name that ends in no number",
        "sky 1 2 3\nroad 4 5 256\n": "line 'road 4 5 256'; needed: three numbers from 0 to 255",
        f"{BOM}\n# nothing\n": "lists no class",
    }.items(),
)
def test_a_class_list_that_cannot_be_understood_shows_its_line(tmp_path, text, said):
    (tmp_path / "list").write_bytes(text.encode())
    with pytest.raises(UserError) as error:
        read_classes(tmp_path / "list")
    assert said in str(error.value) and str(tmp_path / "list") in str(error.value)


def test_numbers_in_a_class_list_are_those_of_the_label_files(tmp_path):
    (tmp_path / "objectInfo150.txt").write_text("Idx\tRatio\tName\n1\t0.2\twall\n2\t0.1\tsky\n")
    listed = own_labels(
        ImageConfig(classes=str(tmp_path / "objectInfo150.txt"), reduce_zero_label=True)
    )
    assert (
        listed["label_ids"] == (1, 2)
        and listed["void_ids"] == (0,)
        and listed["classes"] == ("wall", "sky")
    )


def make_folder(root, labels, names=None, classes="rest,road"):
    """A folder of own data: a grey photo a label; returns the settings that name it."""
    for number, label in enumerate(labels):
        for kind in ("images", "labels"):
            (root / kind / "train").mkdir(parents=True, exist_ok=True)
            (root / kind / "val").mkdir(parents=True, exist_ok=True)
        name = (
            names[number]
            if names
            else f"{'val' if number == len(labels) - 1 else 'train'}/p{number}"
        )
        photo = np.full((*np.shape(label)[:2], 3), 60, np.uint8)
        photo[np.asarray(label).reshape(*photo.shape[:2], -1)[..., 0] > 0] = 200
        Image.fromarray(photo).save(root / "images" / f"{name}.png")
        Image.fromarray(np.asarray(label)).save(root / "labels" / f"{name}.png")
    return tiny_config(data="folder", root=str(root), classes=classes)


def halves(low=0, high=255, kind=np.uint8):
    label = np.full((48, 64), low, kind)
    label[:, 32:] = high
    return label


def with_data(config, **changes):
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **changes))


# masks of 0 and 255


def test_binary_masks_are_seen_before_the_first_step_and_learnt_once_they_are_told(tmp_path):
    config = make_folder(tmp_path, [halves()] * 4)
    with pytest.raises(
        UserError, match="no pixel of road.*hold the numbers 0,255.*--label-values 0,255"
    ):
        train(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    text, problems = check_report(open_source(config.data), tmp_path)
    assert problems == 1 and "--label-values 0,255" in text
    told = with_data(config, label_values=(0, 255))
    source = open_source(told.data)
    assert check_report(source, tmp_path)[1] == 0
    label = read_label(source, {"path": str(tmp_path / "labels/train/p0.png"), "bytes": None})
    assert label[:, :32].max() == 0 and (label[:, 32:] == 1).all()
    train(
        dataclasses.replace(told, optim=dataclasses.replace(told.optim, steps=40)),
        tmp_path / "run",
        progress=False,
    )
    scores = score_run(tmp_path / "run")[0]
    assert scores["average"].iou[1] > 0.9  # bright and dark halves


@pytest.mark.parametrize(
    "flags",
    [("--label-values", "0,255"), ("--label-values", "0", "255"), ("--label-values=0,255",)],
)
def test_the_command_line_takes_the_values_with_commas_or_spaces(tmp_path, flags):
    make_folder(tmp_path, [halves()] * 3)
    done = run_command(
        "data", "check", "folder", "--root", tmp_path, "--classes", "rest,road", *flags
    )
    assert done.returncode == 0, done.stderr


def test_zero_and_one_with_reduce_zero_label_is_seen(tmp_path):
    config = with_data(make_folder(tmp_path, [halves(0, 1)] * 4), reduce_zero_label=True)
    with pytest.raises(
        UserError,
        match="no pixel of road.*hold the numbers 0,1.*--label-values 0,1 and no --reduce-zero-label",
    ):
        check_before(config.data, open_source(config.data), False)
    check_before(
        with_data(config, reduce_zero_label=False).data,
        open_source(with_data(config, reduce_zero_label=False).data),
    )


@pytest.mark.parametrize(
    ("values", "classes", "said"),
    [
        ((0, 128, 255), "rest,road", "3 for 2 classes"),
        ((0, 0), "rest,road", "each another one"),
        ((0, 255), "rest,road,car", "2 for 3 classes"),
    ],
)
def test_values_that_cannot_be(values, classes, said):
    with pytest.raises(UserError, match=said):
        own_labels(ImageConfig(classes=classes, label_values=values))


def test_a_value_that_is_void_as_well_is_refused():
    with pytest.raises(UserError, match="void is 255, the number of the class 'road'"):
        own_labels(ImageConfig(classes="rest,road", label_values=(0, 255), void=(255,)))


def test_three_numbers_of_which_one_was_void_are_named(tmp_path, capsys):
    """0, 1 and 255 for three classes: two are learnt, so it is a note, which says what to do."""
    label = halves(0, 1)
    label[:10] = 255
    config = make_folder(tmp_path, [label] * 4, classes="rest,road,car")
    check_before(config.data, open_source(config.data), False)
    said = capsys.readouterr().err
    assert "note: train has no pixel of car" in said and "--label-values 0,1,255" in said


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_that_is_void_everywhere_is_named_before_the_first_step(tmp_path, split):
    void, fine = halves(255, 255), halves(0, 1)
    labels = [fine, fine, fine, void] if split == "val" else [void, void, void, fine]
    config = make_folder(tmp_path, labels)
    with pytest.raises(UserError, match=f"{split}: every pixel of its label files is void"):
        train(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_single_files_of_void_are_a_note(tmp_path, capsys):
    config = make_folder(tmp_path, [halves(0, 1), halves(255, 255), halves(0, 1), halves(0, 1)])
    check_before(config.data, open_source(config.data), False)
    assert "train has 1 label file with nothing but void: p1" in capsys.readouterr().err
    assert "p1" in check_report(open_source(config.data), tmp_path)[0]


@pytest.mark.parametrize("split", ["train/p0", "val/p3"])
@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_broken_file_is_named_before_the_first_step(tmp_path, split, kind):
    config = make_folder(tmp_path, [halves(0, 1)] * 4)
    path = tmp_path / kind / f"{split}.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match="cannot be read as an image.*cut short"):
        train(config, tmp_path / "run", progress=False)
    done = run_command(
        "train",
        "--data",
        "folder",
        "--root",
        tmp_path,
        "--classes",
        "rest,road",
        "--steps",
        2,
        "--out",
        tmp_path / "run",
    )
    assert done.returncode == 2 and path.name in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_jpeg_that_is_cut_short_is_found_though_it_is_read_at_an_eighth(tmp_path):
    config = make_folder(tmp_path, [halves(0, 1)] * 4)
    (tmp_path / "images/train/p0.png").unlink()
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))
    whole.save(tmp_path / "images/train/p0.jpg")
    assert check_report(open_source(config.data), tmp_path)[1] == 0
    content = (tmp_path / "images/train/p0.jpg").read_bytes()
    (tmp_path / "images/train/p0.jpg").write_bytes(content[: len(content) // 2])
    assert "unreadable file: 1" in check_report(open_source(config.data), tmp_path)[0]


def test_files_that_were_fine_are_not_read_again_until_one_changes(tmp_path, monkeypatch):
    config, read = make_folder(tmp_path, [halves(0, 1)] * 4), []
    monkeypatch.setenv("COLLAB_SEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "collab_seg.data.check.read_label",
        lambda source, cell: read.append(cell["path"]) or read_label(source, cell),
    )
    source = open_source(config.data)
    for expected in (4, 4):
        check_before(config.data, source, False)
        assert len(read) == expected
    label = tmp_path / "labels/train/p1.png"
    Image.fromarray(halves(0, 9)).save(label)
    with pytest.raises(UserError, match="holds label 9"):
        check_before(config.data, source, False)
    other = with_data(config, classes="rest,street")  # the same files mean something else
    Image.fromarray(halves(0, 1)).save(label)
    check_before(other.data, open_source(other.data), False)
    assert len(read) == 4 + 3 + 4
    monkeypatch.setenv("COLLAB_SEG_CACHE", "/dev/null/nowhere")  # cannot be written: done anew
    check_before(config.data, source, False)
    assert len(read) == 4 + 3 + 4 + 4


def test_no_check_leaves_it_out(tmp_path):
    config = make_folder(tmp_path, [halves()] * 4)
    train(config, tmp_path / "run", progress=False, check=False)
    assert (tmp_path / "run" / "summary.json").exists()


def test_parquet_files_are_checked_once_as_well(tmp_path, monkeypatch):
    from collab_seg.data.parquet import convert

    config, scanned = make_folder(tmp_path / "set", [halves(0, 1)] * 4), []
    convert(open_source(config.data), tmp_path / "set", tmp_path / "packed", progress=False)
    monkeypatch.setenv("COLLAB_SEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "collab_seg.data.check.read_label",
        lambda source, cell: scanned.append(1) or read_label(source, cell),
    )
    packed = ImageConfig(data="hf", root=str(tmp_path / "packed"))
    for _ in range(2):
        check_before(packed, open_source(packed), False)
    assert len(scanned) == 4


# label images of every mode


def read(source, array, mode=None, name="label.png", tmp=None, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image = image.quantize(8) if mode == "P" else image.convert(mode) if mode else image
    image.save(tmp / name, **options)
    return read_label(source, {"path": str(tmp / name), "bytes": None})


@pytest.fixture
def numbers(tmp_path):
    return open_source(ImageConfig(data="folder", root=str(tmp_path), classes="rest,road"))


@pytest.mark.parametrize(
    "make",
    {
        "L": lambda a: Image.fromarray(a),
        "1": lambda a: Image.fromarray(a * 255).convert("1"),
        "RGB": lambda a: Image.fromarray(a).convert("RGB"),
        "RGBA": lambda a: Image.fromarray(a).convert("RGBA"),
        "LA": lambda a: Image.fromarray(a).convert("LA"),
        "16 bits": lambda a: Image.fromarray(a.astype(np.uint16)),
        "32 bits": lambda a: Image.fromarray(a.astype(np.int32)),
    }.items(),
    ids=lambda item: item[0],
)
def test_numbers_are_read_from_every_mode_that_holds_one_a_pixel(tmp_path, numbers, make):
    assert (
        read(
            numbers,
            make[1](halves(0, 1)),
            tmp=tmp_path,
            name="label.png" if make[0] != "32 bits" else "label.tif",
        )
        == halves(0, 1)
    ).all()


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (
            Image.fromarray(halves(0, 300, np.uint16)),
            "numbers from 0 to 300; needed: class numbers from 0 to 255",
        ),
        (
            Image.merge(
                "RGBA", [Image.fromarray(halves(0, 1))] * 3 + [Image.fromarray(halves(0, 255))]
            ),
            "1536 transparent pixels",
        ),
        (
            Image.merge("LA", [Image.fromarray(halves(0, 1)), Image.fromarray(halves(0, 255))]),
            "1536 transparent pixels",
        ),
        (
            Image.fromarray(np.stack([halves(), halves(0, 0), halves(0, 0)], 2)),
            "mode RGB, with colours.*--palette FILE",
        ),
        (
            Image.fromarray(halves(0, 7)),
            "holds label 7 .1536 such pixels.; needed: 0 to 1, or 255 for void; --label-values",
        ),
    ],
)
def test_what_is_no_label_is_said_in_one_line(tmp_path, numbers, image, said):
    with pytest.raises(UserError, match=said):
        read(numbers, image, tmp=tmp_path)


@pytest.mark.parametrize(
    ("name", "options"), [("a.jpg", {"quality": 100}), ("a.jpeg", {}), ("a.webp", {"quality": 90})]
)
def test_lossy_labels_are_refused_as_a_kind(tmp_path, numbers, name, options):
    with pytest.raises(UserError, match="is a lossy .*needed: a lossless file such as PNG"):
        read(
            numbers,
            halves(0, 0),
            tmp=tmp_path,
            name=name,
            mode="RGB" if name.endswith("webp") else None,
            **options,
        )


def test_lossless_webp_is_fine(tmp_path, numbers):
    label = read(numbers, halves(0, 1), mode="RGB", tmp=tmp_path, name="a.webp", lossless=True)
    assert (label == halves(0, 1)).all()


def test_jpeg_labels_are_a_problem_of_data_check_and_of_training(tmp_path):
    config = make_folder(tmp_path, [halves(0, 1)] * 4)
    for path in (tmp_path / "labels").glob("*/*.png"):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    text, problems = check_report(open_source(config.data), tmp_path)
    assert problems >= 4 and "lossy label: 4" in text
    with pytest.raises(UserError, match="lossy JPEG"):
        train(config, tmp_path / "run", progress=False)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_read_from_every_mode_that_shows_them(tmp_path, mode):
    (tmp_path / "palette.txt").write_text("various = 0:0:0\nsky = 70:130:180\nvoid 9 9 9\n")
    source = open_source(
        ImageConfig(data="folder", root=str(tmp_path), palette=str(tmp_path / "palette.txt"))
    )
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:], picture[:5] = (70, 130, 180), 9
    label = read(source, picture, mode, tmp=tmp_path)
    assert (label[5:] == halves(0, 1)[5:]).all() and (label[:5] == 255).all()


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (Image.fromarray(halves(0, 300, np.uint16)), "needed: colours of 8 bits a channel"),
        (Image.fromarray(np.dstack([np.zeros((48, 64, 3), np.uint8), halves()])), "transparent"),
        (
            Image.fromarray(np.full((48, 64, 3), 77, np.uint8)),
            "holds colour .77, 77, 77.; needed: the colours of the palette file",
        ),
    ],
)
def test_what_shows_no_colour_of_the_palette_is_said(tmp_path, image, said):
    (tmp_path / "palette.txt").write_text("a 0 0 0\nb 1 1 1\n")
    source = open_source(
        ImageConfig(data="folder", root=str(tmp_path), palette=str(tmp_path / "palette.txt"))
    )
    with pytest.raises(UserError, match=said) as error:
        read(source, image, tmp=tmp_path)
    assert "--palette" not in str(error.value)  # it is what was given


# settings out of range


@pytest.mark.parametrize(
    "flags",
    [("--void", "300"), ("--void", "-253"), ("--label-values", "0,300"), ("--val-fraction", "1.5")],
)
@pytest.mark.parametrize(
    "command",
    [("data", "check", "folder"), ("data", "show", "folder"), ("train", "--data", "folder")],
)
def test_a_number_out_of_range_is_one_line_in_every_command(tmp_path, command, flags):
    make_folder(tmp_path, [halves(0, 1)] * 3)
    done = run_command(*command, "--root", tmp_path, "--classes", "rest,road", *flags)
    assert (
        done.returncode == 2 and done.stderr.count("\n") == 1 and "needed: from 0 to" in done.stderr
    ), done.stderr
    with pytest.raises(UserError):
        check_ranges(ImageConfig(void=(300,)))


def test_a_check_of_a_thousand_files_takes_seconds(tmp_path):
    """The bound is wide: here it took 1.2 s for 500 pairs of 240x180 on two busy cores."""
    import time

    rng, source = (
        np.random.default_rng(0),
        open_source(ImageConfig(data="folder", root=str(tmp_path), classes="rest,road")),
    )
    Image.fromarray(rng.integers(0, 255, (180, 240, 3), np.uint8)).save(tmp_path / "photo.jpg")
    Image.fromarray((np.arange(180 * 240) > 9999).reshape(180, 240).astype(np.uint8)).save(
        tmp_path / "label.png"
    )
    row = {
        kind: {"path": str(tmp_path / name), "bytes": None}
        for kind, name in (("image", "photo.jpg"), ("label", "label.png"))
    }
    began = time.perf_counter()
    scan = scan_rows(source, [row] * 500, "train", progress=False)
    assert (
        len(scan.names) == 500
        and not scan.problems
        and scan.counts == [500 * 10_000, 500 * (180 * 240 - 10_000)]
    )
    assert time.perf_counter() - began < 30


def test_counts_are_those_of_an_independent_reading(tmp_path):
    labels = [np.random.default_rng(n).integers(0, 3, (48, 64)).astype(np.uint8) for n in range(5)]
    config = make_folder(tmp_path, labels, classes="a,b,c")
    scan = check_split(open_source(config.data), tmp_path, "train")
    assert scan.counts == [sum(int((label == k).sum()) for label in labels[:4]) for k in range(3)]
    assert json.loads(json.dumps(scan.notes)) == [] and os.path.isdir(tmp_path)


# what Pillow reads as something else


def deep(kind, colours):
    """A PNG of 16 bits a channel, which Pillow cannot write."""
    rows = b"".join(b"\0" + row.tobytes() for row in colours.astype(">u2"))

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = struct.pack(">IIBBBBB", colours.shape[1], colours.shape[0], 16, kind, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize("palette", [False, True])
@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_masks_of_16_bits_a_channel_are_refused(tmp_path, kind, channels, palette):
    """Pillow keeps the upper 8 bits: every pixel was of class 0."""
    (tmp_path / "palette.txt").write_text("a 0 0 0\nb 1 1 1\n")
    given = {"palette": str(tmp_path / "palette.txt")} if palette else {"classes": "a,b"}
    source = open_source(ImageConfig(data="folder", root=str(tmp_path), **given))
    colours = np.repeat(halves(0, 1, np.uint16)[..., None], channels, 2)
    colours[..., 3:] = 65535
    content = deep(kind, colours)
    said = "has mode RGBA?, 16 bits a channel; needed: colours of 8 bits a channel"
    with pytest.raises(UserError, match=said):
        read_label(source, {"path": "a.png", "bytes": content})


def test_photos_of_32_bits_are_refused_and_those_of_16_are_read(tmp_path):
    """A TIFF of 0 to 255 in whole numbers of 32 bits was black."""
    Image.fromarray(halves(0, 200, np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match="a.tif has mode I; needed: an image of 8 or 16 bits"):
        read_image(tmp_path / "a.tif")
    config = make_folder(tmp_path / "set", [halves(0, 1)] * 4)
    (tmp_path / "a.tif").rename(tmp_path / "set/images/train/p0.tif")
    (tmp_path / "set/images/train/p0.png").unlink()
    text, count = check_report(open_source(config.data), tmp_path / "set", progress=False)
    assert count == 1 and "has mode I" in text
    for name in ("a.png", "a.tif", "a.pgm"):
        Image.fromarray(halves(0, 200 * 256, np.uint16)).save(tmp_path / name)
        assert np.unique(read_image(tmp_path / name)).tolist() == [0, 200]


@pytest.mark.parametrize("orientation", range(1, 10))
@pytest.mark.parametrize("square", [True, False])
def test_photos_that_are_stored_turned_are_said(tmp_path, orientation, square, capsys):
    """Half of them fit the masks as they are stored, and nobody knew which way those lie."""
    label = halves(0, 1)[:, 8:56] if square else halves(0, 1)
    config, note = make_folder(tmp_path, [label] * 4), Image.Exif()
    note[0x0112] = orientation
    for path in sorted((tmp_path / "images/train").iterdir())[:2]:
        Image.open(path).save(path, exif=note)
    text, count = check_report(open_source(config.data), tmp_path, progress=False)
    fits = square or not 5 <= orientation <= 8
    said = "2 of 3 photos of train are stored turned (EXIF), and their masks are taken as upright"
    assert (said in text) == (2 <= orientation <= 8 and fits)
    assert count == (0 if fits else 2) and ("if EXIF turns the photo" in text) == (not fits)
    if fits:
        check_before(config.data, open_source(config.data), progress=False)
        assert (said in capsys.readouterr().err) == (said in text)


# colours


def test_every_class_has_a_colour_of_its_own(tmp_path):
    """The second class without a colour got the one that was given to the first."""
    usual = voc_palette(5)[1:]
    path, root = tmp_path / "classes.txt", str(tmp_path)
    path.write_text("sky 0 128 0\nroad\ncar\ntree 128 128 0\n")
    palette = own_labels(ImageConfig(data="folder", root=root))["palette"]
    assert len({*palette}) == 4 and palette[0] == (0, 128, 0) == usual[1]
    assert palette[3] == (128, 128, 0) == usual[2]
    path.write_text("sky\nroad\ncar 1 2 3\n")  # those that are free are as ever
    assert own_labels(ImageConfig(data="folder", root=root))["palette"] == (*usual[:2], (1, 2, 3))
    usual = voc_palette(256)[1:]
    for given in (usual, (*usual[100:], *[None] * 100), (*[None] * 200, *usual[:55])):
        lines = [f"c{n} {' '.join(map(str, colour or ()))}" for n, colour in enumerate(given)]
        path.write_text("\n".join(lines))
        palette = own_labels(ImageConfig(data="folder", root=root))["palette"]
        assert len({*palette}) == 255 and all(map(lambda a, b: b in (a, None), palette, given))
    path.write_text("sky 0 128 0\nroad 1 2 3\ncar 0 128 0\n")
    with pytest.raises(UserError, match="'sky' and 'car' the colour .0, 128, 0.; needed: another"):
        own_labels(ImageConfig(data="folder", root=root))
