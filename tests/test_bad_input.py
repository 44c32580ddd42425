"""Malformed input, more than 200 kinds: one line, exit code 2, no traceback; nothing executed, written or lost."""

import dataclasses
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import conftest
import numpy as np
import pytest
import torch
from conftest import record, tiny_config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save, save_file

from collab_seg.config import Config, config_from_json, config_to_json
from collab_seg.core import UserError
from collab_seg.data.check import check_report
from collab_seg.data.reading import read_image, read_label
from collab_seg.data.sources import get_source
from collab_seg.limits import check_config
from collab_seg.students.weights import read_weights
from collab_seg.studies.results import read_results
from collab_seg.training.loop import train
from collab_seg.training.stopping import Stopped
from collab_seg.use import cli
from collab_seg.use.commands_base import read_config

HEIGHT, WIDTH = 36, 48
CAMVID = get_source("camvid")
DRAW = np.random.default_rng(0)
PHOTO = DRAW.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
LABEL = DRAW.integers(0, 12, (HEIGHT, WIDTH), dtype=np.uint8)  # 11 is void
needs_links = pytest.mark.skipif(os.name != "posix", reason="links and pipes as on POSIX systems")


def encoded(array, kind="PNG", mode=None, **options) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    image = Image.fromarray(array) if mode is None else Image.fromarray(array).convert(mode)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width, height, depth=8, colour=0, rows=b"\0", more=b"") -> bytes:
    """A PNG that says what it is told to say."""

    def chunk(name, content):
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + more
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def text_bomb() -> bytes:
    """A PNG with a comment of 200 MB, in 200 kB."""
    content = b"Comment\0\0" + zlib.compress(b"a" * 200_000_000, 9)
    chunk = (
        struct.pack(">I", len(content))
        + b"zTXt"
        + content
        + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    )
    return png(2, 2, rows=b"\0" * 6, more=chunk)


def make_folder(root: Path) -> Path:
    """A folder in CamVid's layout with one pair a split."""
    for split in ("train", "val"):
        for name, pixels in ((split, PHOTO), (f"{split}annot", LABEL)):
            (root / name).mkdir(parents=True)
            (root / name / "a.png").write_bytes(encoded(pixels))
    return root


def contents(folder: Path) -> dict:
    """Every name below a folder, and what is behind it."""
    found = {}
    for top, folders, files in os.walk(os.fsencode(folder)):
        for name in (*folders, *files):
            path = os.path.join(top, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            else:
                found[path] = open(path, "rb").read() if os.path.isfile(path) else None
    return found


@pytest.fixture
def refused(capfd, tmp_path, monkeypatch):
    """Calls the command in a folder of its own, and expects one line, exit code 2, and a folder that is as it was."""
    monkeypatch.chdir(tmp_path)

    def call(fault, arguments, *needed, keep=True) -> str:
        before, fine, lost = contents(tmp_path), False, True
        capfd.readouterr()
        try:
            code = cli.main([str(part) for part in arguments])
            out, said = capfd.readouterr()
            after = contents(tmp_path)
            lost = any(after.get(name) != content for name, content in before.items())
            assert code == 2, (code, out, said)
            assert (
                said.startswith("collab-seg: ") and said.endswith("\n") and said.count("\n") == 1
            ), said
            assert said[:-1].isprintable() and len(said) < 1500 and "Traceback" not in said, said
            for word in needed:
                assert str(word) in said, (word, said)
            assert not lost, "an input was changed"
            if keep:
                assert after.keys() == before.keys(), sorted(after.keys() - before.keys())
            fine = True
            return out
        finally:
            record(fault, 1, int(fine), int(lost))

    return call


# Files that are no image, or not a whole one


def _cut(content, share):
    return content[: int(len(content) * share)]


KINDS = {
    "png": encoded(PHOTO),
    "jpg": encoded(PHOTO, "JPEG"),
    "webp": encoded(PHOTO, "WEBP"),
    "bmp": encoded(PHOTO, "BMP"),
}
BROKEN: dict[str, tuple[str, bytes]] = {}
for kind, whole in KINDS.items():
    for name, content in {
        "empty": b"",
        "its first 20 bytes": whole[:20],
        "a quarter": _cut(whole, 0.25),
        "half": _cut(whole, 0.5),
        "all but a tenth": _cut(whole, 0.9),
        "zeros": bytes(len(whole)),
        "without its first byte": whole[1:],
        "twice its start": whole[:60] + whole[:60],
    }.items():
        BROKEN[f"{kind}, {name}"] = f"a.{kind}", content
for name, content in {
    "nothing but a line of text": b"sky\n",
    "a web page that says 404": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n",
    "a zip": b"PK\x03\x04" + bytes(60),
    "a gzip": b"\x1f\x8b\x08\x00" + bytes(60),
    "a pickle": pickle.dumps({"image": 1}),
    "safetensors": save({"x": torch.zeros(2)}),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 36\nshowpage\n%%EOF\n",
    "a PDF": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n",
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='48' height='36'/>",
    "a NumPy array": b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (36, 48)}",
    "PNG of width 0": png(0, 4),
    "PNG of height 0": png(4, 0),
    "PNG of 3 bits": png(4, 4, depth=3, rows=bytes(20)),
    "PNG of colour type 7": png(4, 4, colour=7, rows=bytes(20)),
    "PNG with too few rows": png(64, 64, rows=bytes(100)),
    "PNG whose rows are no zlib": encoded(PHOTO).replace(b"IDATx", b"IDATy"),
    "PNG whose checksum is wrong": bytes(
        byte ^ (place == 30) for place, byte in enumerate(encoded(PHOTO))
    ),
    "PNG with a chunk of 2 GB": encoded(PHOTO)[:33] + b"\x7f\xff\xff\xffIDAT",
    "PNG that begins with rows": encoded(PHOTO)[:8] + encoded(PHOTO)[33:],
    "bomb: PNG of 30000x30000": png(30000, 30000),
    "bomb: PNG of 12000x9000": png(12000, 9000),
    "bomb: PNG of 100000x100000": png(100000, 100000, colour=2),
    "bomb: a comment of 200 MB": text_bomb(),
    "bomb: BMP of 40000x40000": KINDS["bmp"][:18]
    + struct.pack("<ii", 40000, 40000)
    + KINDS["bmp"][26:],
    "bomb: JPEG of 65500x65500": KINDS["jpg"].replace(
        struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", 65500, 65500), 1
    ),
    "JPEG of height 0": KINDS["jpg"].replace(
        struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", 0, WIDTH), 1
    ),
}.items():
    BROKEN[name] = "a.png", content


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_whole_image(name, refused, small_run, tmp_path):
    """As a photo to predict, as an image and as a label of a data set."""
    file, content = BROKEN[name]
    (tmp_path / file).write_bytes(content)
    refused("broken image", ["predict", small_run, tmp_path / file], file)
    for split in ("train", "valannot"):
        root = make_folder(tmp_path / f"as {split}")
        (root / split / "a.png").unlink()
        (root / split / file).write_bytes(content)
        out = refused(
            "broken image", ["data", "check", "camvid", "--root", root], "camvid: 3 problems"
        )
        assert f"{split}/{file}" in out and "unreadable file: 1" in out, out
    refused("broken image", ["data", "show", "camvid", "--root", root, "--split", "val"], file)


# Labels that are an image, but not a map of class numbers

COLOURS = np.array([(128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128)], np.uint8)
GREY = LABEL.copy()
GREY[5, 7] = 12


def paletted(indices, **options) -> bytes:
    """A label in palette mode."""
    image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    image.putpalette([value for colour in CAMVID.palette for value in colour])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


SIXTEEN = encoded(LABEL.astype(np.uint16))
BAD_LABELS = {  # name: (file, content, what the line says)
    "colours in place of numbers": ("a.png", encoded(COLOURS[LABEL % 4]), "mode RGB"),
    "colours with alpha": ("a.png", encoded(COLOURS[LABEL % 4], mode="RGBA"), "mode RGBA"),
    "grey with alpha": ("a.png", encoded(LABEL, mode="LA"), "mode LA"),
    "one bit": ("a.png", encoded(LABEL, mode="1"), "mode 1"),
    "16 bits": ("a.png", SIXTEEN, "mode I;16"),
    "16 bits, numbers times 256": ("a.png", encoded(LABEL.astype(np.uint16) * 256), "mode I;16"),
    "a colour JPEG": ("a.jpg", encoded(COLOURS[LABEL % 4], "JPEG"), "a lossy JPEG"),
    "a CMYK JPEG": ("a.jpg", encoded(COLOURS[LABEL % 4], "JPEG", mode="CMYK"), "a lossy JPEG"),
    "a grey JPEG, whose numbers are blurred": (
        "a.jpg",
        encoded(LABEL * 20, "JPEG"),
        "a lossy JPEG",
    ),
    "a grey JPEG, whose numbers are in range": (
        "a.jpg",
        encoded(LABEL, "JPEG", quality=100),
        "a lossy JPEG",
    ),
    "a WebP, which has colours only": ("a.webp", encoded(LABEL, "WEBP", lossless=True), "mode RGB"),
    "the photo itself": ("a.png", encoded(PHOTO), "mode RGB"),
    "the photo in grey": ("a.png", encoded(PHOTO, mode="L"), "holds label"),
    "one pixel of class 12": ("a.png", encoded(GREY), "holds label 12 (1 such pixel"),
    "numbers made visible": ("a.png", encoded(LABEL * 20), "holds label"),
    "class 254": ("a.png", encoded(np.full_like(LABEL, 254)), "holds label 254"),
    "numbers from 1": (
        "a.png",
        encoded(np.where(LABEL == 11, 12, LABEL).astype(np.uint8)),
        "holds label 12",
    ),
    "a palette of 21 classes": ("a.png", paletted(LABEL + 9), "holds label"),
    "other palette, colours looked up by hand": (
        "a.png",
        encoded(COLOURS[LABEL % 4], mode="P"),
        "holds label",
    ),
    "full 32 bits": ("a.png", encoded(LABEL.astype(np.int32), "TIFF"), "mode I"),
    "floating point": ("a.png", encoded(LABEL.astype(np.float32), "TIFF"), "mode F"),
    "one row less": ("a.png", encoded(LABEL[:-1]), "same size"),
    "one column less": ("a.png", encoded(LABEL[:, :-1]), "same size"),
    "on its side": ("a.png", encoded(LABEL.T), "same size"),
    "half the size": ("a.png", encoded(LABEL[::2, ::2]), "same size"),
    "twice the size": ("a.png", encoded(LABEL.repeat(2, 0).repeat(2, 1)), "same size"),
    "one pixel": ("a.png", encoded(LABEL[:1, :1]), "same size"),
    "one row": ("a.png", encoded(LABEL[:1]), "same size"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_a_label_that_is_no_map_of_class_numbers(name, refused, tmp_path):
    file, content, needed = BAD_LABELS[name]
    root = make_folder(tmp_path / "data")
    (root / "trainannot" / "a.png").unlink()
    (root / "trainannot" / file).write_bytes(content)
    out = refused(
        "wrong label",
        ["data", "check", "camvid", "--root", root, "--split", "train"],
        "camvid: 2 problems",
    )
    assert needed in out and f"trainannot/{file}" in out, out
    refused("wrong label", ["data", "show", "camvid", "--root", root], file, needed)


@pytest.mark.parametrize(
    "name", ["colours in place of numbers", "16 bits", "one pixel of class 12", "on its side"]
)
def test_training_stops_at_a_bad_label_and_leaves_no_run_behind(name, refused, tmp_path):
    file, content, needed = BAD_LABELS[name]
    root = make_folder(tmp_path / "data")
    (root / "trainannot" / file).write_bytes(content)
    refused(
        "wrong label",
        ["train", *SMALL, "--data", "camvid", "--root", root, "--out", tmp_path / "run"],
        file,
        needed,
    )


# Folders

LONG = "n" * 240


def _link(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _rename(root, name):
    for split in ("train", "trainannot"):
        os.rename(
            root / split / "a.png", os.path.join(os.fsencode(root / split), os.fsencode(name))
        )


BAD_FOLDERS = {  # name: (what is done to a good folder, what the report or the line says)
    "an image without a label": (lambda f: (f / "trainannot/a.png").unlink(), "a.png"),
    "a label without an image": (lambda f: (f / "train/a.png").unlink(), "a.png"),
    "names that differ in case": (lambda f: (f / "train/a.png").rename(f / "train/A.png"), "A.png"),
    "names that differ by _L": (
        lambda f: (f / "trainannot/a.png").rename(f / "trainannot/a_L.png"),
        "a.png",
    ),
    "no images": (lambda f: [(f / d / "a.png").unlink() for d in ("train", "trainannot")], "train"),
    "no folder of labels": (lambda f: shutil.rmtree(f / "trainannot"), "trainannot"),
    "no folder of images": (lambda f: shutil.rmtree(f / "train"), "train"),
    "a file in place of the images": (
        lambda f: (shutil.rmtree(f / "train"), (f / "train").write_text("")),
        "train",
    ),
    "a file in place of the labels": (
        lambda f: (shutil.rmtree(f / "trainannot"), (f / "trainannot").write_text("")),
        "trainannot",
    ),
    "images one folder deeper": (
        lambda f: (f / "train/b").mkdir() or (f / "train/a.png").rename(f / "train/b/a.png"),
        "a folder deeper",
    ),
    "a folder named like an image": (
        lambda f: (f / "train/a.png").unlink() or (f / "train/a.png").mkdir(),
        "train/a.png",
    ),
    "a folder named like a label": (
        lambda f: (f / "trainannot/a.png").unlink() or (f / "trainannot/a.png").mkdir(),
        "trainannot/a.png",
    ),
    "two images of one name": (
        lambda f: (f / "train/a.jpg").write_bytes(KINDS["jpg"]),
        "train/a.png",
    ),
    "two labels of one name": (
        lambda f: (f / "trainannot/a.bmp").write_bytes(encoded(LABEL, "BMP")),
        "trainannot/a.png",
    ),
    "images of another ending": (
        lambda f: (f / "train/a.png").rename(f / "train/a.heic"),
        "end in .heic",
    ),
    "images without an ending": (lambda f: (f / "train/a.png").rename(f / "train/a"), "a.png"),
    "hidden images": (lambda f: (f / "train/a.png").rename(f / "train/.a.png"), "a.png"),
    "half of the images are hidden files of macOS": (
        lambda f: (f / "trainannot/a.png").rename(f / "trainannot/._a.png"),
        "a.png",
    ),
    "labels and images swapped": (
        lambda f: (
            (f / "train").rename(f / "x"),
            (f / "trainannot").rename(f / "train"),
            (f / "x").rename(f / "trainannot"),
        ),
        "mode RGB",
    ),
    "a long name, spoiled": (
        lambda f: (_rename(f, LONG + ".png"), (f / "train" / f"{LONG}.png").write_bytes(b"x")),
        LONG[:200],
    ),
    "a name in Chinese, spoiled": (
        lambda f: (_rename(f, "街.png"), (f / "train/街.png").write_bytes(b"x")),
        "街.png",
    ),
}
BAD_LINKS = {
    "a dangling link to an image": (lambda f: _link(f / "train/a.png", "nowhere.png"), "a.png"),
    "a dangling link to a label": (lambda f: _link(f / "trainannot/a.png", "nowhere.png"), "a.png"),
    "a link to itself": (lambda f: _link(f / "train/a.png", "a.png"), "a.png"),
    "a link to a folder": (lambda f: _link(f / "train/a.png", ".."), "a.png"),
    "a dangling link to the labels": (
        lambda f: (shutil.rmtree(f / "trainannot"), _link(f / "trainannot", "nowhere")),
        "trainannot",
    ),
    "a pipe that nobody writes to": (
        lambda f: (f / "train/a.png").unlink() or os.mkfifo(f / "train/a.png"),
        "a.png",
    ),
    "a name of two lines, spoiled": (
        lambda f: (_rename(f, "a\nb.png"), (f / "train/a\nb.png").write_bytes(b"x")),
        "a\\nb.png",
    ),
    "a name that colours the terminal": (
        lambda f: (_rename(f, "\x1b[31m.png"), (f / "train/\x1b[31m.png").write_bytes(b"x")),
        "x1b[31m.png",
    ),
    "a name that turns the line round": (
        lambda f: (_rename(f, "\u202egnp.png"), (f / "train/\u202egnp.png").write_bytes(b"x")),
        "u202egnp.png",
    ),
    "a name that is no text, spoiled": (
        lambda f: (
            _rename(f, b"a\xff.png"),
            open(os.fsencode(f) + b"/train/a\xff.png", "wb").close(),
        ),
        "udcff.png",
    ),
}


@needs_links
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [*BAD_FOLDERS, *BAD_LINKS])
def test_a_folder_that_is_not_as_it_should_be(name, refused, tmp_path):
    spoil, needed = (BAD_FOLDERS | BAD_LINKS)[name]
    root = make_folder(tmp_path / "data")
    spoil(root)
    out = refused(
        "wrong folder", ["data", "check", "camvid", "--root", root, "--split", "train"], "camvid"
    )
    assert all(line.isprintable() for line in out.splitlines()), out
    out += refused("wrong folder", ["data", "show", "camvid", "--root", root, "--count", "9"])
    refused("wrong folder", ["data", "show", "camvid", "--root", root], needed)


ROOTS = {
    "not there": (lambda p: None, "nowhere"),
    "a file": (lambda p: p.write_text("x"), "nowhere"),
    "empty": (lambda p: p.mkdir(), "nowhere"),
    "other layout": (lambda p: (p / "images").mkdir(parents=True), "nowhere"),
    "dangling": (lambda p: p.symlink_to("else"), "nowhere"),
}
COMMANDS = {
    "check": ["data", "check", "camvid", "--root"],
    "show": ["data", "show", "camvid", "--root"],
    "train": ["train", "--preset", "pocket", "--root"],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ROOTS)
def test_a_root_that_is_no_data_set(name, command, refused, tmp_path):
    make, needed = ROOTS[name]
    make(tmp_path / "nowhere")
    refused("wrong root", [*COMMANDS[command], tmp_path / "nowhere"], needed)


@pytest.mark.parametrize(
    "root",
    ["", "x" * 300, "x/" * 3000, "a\x00b", "\udcff"],
    ids=["empty", "long", "deep", "zero byte", "no text"],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_root_that_is_no_name(root, command, refused):
    refused("wrong root", [*COMMANDS[command], root])


ARGUMENTS = {
    "split of another data set": (
        ["data", "show", "camvid", "--root", "data", "--split", "test_dev"],
        "test_dev",
    ),
    "split that climbs": (
        ["data", "show", "camvid", "--root", "data", "--split", "../data/train"],
        "split",
    ),
    "check of a split that climbs": (
        ["data", "check", "camvid", "--root", "data", "--split", ".."],
        "split",
    ),
    "data set of no name": (["data", "check", ""], "data is ''"),
    "data set with a line end": (["data", "check", "cam\nvid"], "data is"),
    "picture onto a folder": (
        ["data", "show", "camvid", "--root", "data", "--out", "data"],
        "data",
    ),
    "picture below a file": (
        ["data", "show", "camvid", "--root", "data", "--out", "data/train/a.png/x.png"],
        "a.png",
    ),
    "picture of a long name": (
        ["data", "show", "camvid", "--root", "data", "--out", "x" * 300],
        "x" * 100,
    ),
    "picture without a name": (
        ["data", "show", "camvid", "--root", "data", "--out", ""],
        "directory",
    ),
    "run onto a file": (
        ["train", "--preset", "pocket", "--root", "data", "--out", "data/train/a.png"],
        "a.png",
    ),
    "run below a file": (
        ["train", "--preset", "pocket", "--root", "data", "--out", "data/train/a.png/run"],
        "a.png",
    ),
    "run of a long name": (
        ["train", "--preset", "pocket", "--root", "data", "--out", "x" * 300],
        "x" * 100,
    ),
    "config that is a folder": (["train", "--config-file", "data"], "data"),
    "config of a long name": (["train", "--config-file", "x" * 300], "x" * 100),
    "resume of a file": (["train", "--resume", "data/train/a.png"], "a.png"),
    "eval of a file": (["eval", "data/train/a.png"], "a.png"),
    "eval of a long name": (["eval", "x" * 300], "x" * 100),
    "weights that are a folder": (
        ["train", "--preset", "pocket", "--root", "data", "--cnn-weights", "data"],
        "data",
    ),
    "model from the internet": (
        ["train", "--preset", "pocket", "--root", "data", "--cnn", "hf-hub:timm/resnet18.a1_in1k"],
        "hf-hub",
    ),
    "model from a folder": (
        ["train", "--preset", "pocket", "--root", "data", "--cnn", "local-dir:data"],
        "local-dir",
    ),
    "CNN of no name": (["train", "--preset", "pocket", "--root", "data", "--cnn", ""], "cnn ''"),
    "ViT of no name": (["train", "--preset", "pocket", "--root", "data", "--vit", ""], "vit is ''"),
    "a Swin, which is no CNN": (
        ["train", "--preset", "pocket", "--root", "data", "--cnn", "swin_tiny_patch4_window7_224"],
        "swin_tiny_patch4_window7_224",
    ),
    "a ViT of no such name": (
        ["train", "--preset", "pocket", "--root", "data", "--vit", "vit_tiny_patch17"],
        "no plain ViT",
    ),
    "a hybrid ViT": (
        ["train", "--preset", "pocket", "--root", "data", "--vit", "vit_tiny_r_s16_p8_224"],
        "no plain ViT",
    ),
    "frozen random weights": (
        ["train", "--preset", "pocket", "--root", "data", "--vit-frozen"],
        "--vit-weights",
    ),
    "frozen with a rate": (
        ["train", "--preset", "pocket", "--root", "data", "--vit-frozen"]
        + ["--vit-weights", "random", "--vit-lr-body", "1e-4"],
        "one of the two",
    ),
    "DINOv2 for another ViT": (
        ["train", "--preset", "pocket", "--root", "data", "--vit", "test_vit"]
        + ["--vit-weights", "dinov2"],
        "--vit vit_small_patch14_dinov2",
    ),
    "no network in the place of the ViT": (
        ["train", "--preset", "pocket", "--root", "data", "--vit", "resnet19"],
        "vit is 'resnet19'; known:",
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_that_cannot_be(name, refused, tmp_path):
    make_folder(tmp_path / "data")
    arguments, needed = ARGUMENTS[name]
    refused("wrong argument", arguments, needed)


# Settings


def settings_with(**changes) -> str:
    """The settings of a small run as JSON, with changes such as optim__lr=3."""
    table = json.loads(
        config_to_json(tiny_config(data="camvid", root="data", method="collab", steps=1))
    )
    for name, value in changes.items():
        part, _, name = name.partition("__")
        table[part][name] = value
    return json.dumps(table)


WRONG_TYPES = {
    str: [7, None, True, ["a"], {"a": 1}],
    int: ["7", 1.5, None, True, [1]],
    float: ["0.1", None, True, [0.5], {}],
    bool: ["true", 1, None],
    tuple: [7, "7", None, ["a", "b"], {"0": 1}, [[1, 2], [3, 4]]],
}
BAD_SETTINGS: dict[str, tuple[str, str]] = {}
for part in dataclasses.fields(Config):
    for place, setting in enumerate(dataclasses.fields(part.default_factory)):
        value = setting.default
        wrong = WRONG_TYPES[type(value)] if value is not None else [True, [], {}]
        wrong = wrong[place % len(wrong)]  # one a setting, each kind in its turn
        BAD_SETTINGS[f"{setting.name} is {json.dumps(wrong)}"] = (
            settings_with(**{f"{part.name}__{setting.name}": wrong}),
            setting.name,
        )
NAN, INF = float("nan"), float("inf")
OUT_OF_RANGE = {
    "data": {
        "size": [[0, 0], [31, 64], [-64, 64], [64], [64, 64, 3], [10**9, 10**9]],
        "crop": [[0, 64], [64, -1], [10**6, 10**6]],
        "scale": [[0, 1], [2, 1], [-1, 1], [NAN, 1], [1, INF], [1, 1e9]],
        "jitter": [-0.1, 1.5, NAN],
        "workers": [-1, 10**6],
        "split": ["", "../val"],
        "data": ["", "camvit"],
    },
    "students": {
        "output_stride": [0, 4, 32],
        "aspp_rates": [[], [0], [-3], [10**9]],
        "decoder_width": [0, -8, 10**9],
        "head_width": [1, 10**9],
        "drop_path": [-0.1, 1, NAN],
        "cnn_weights": ["", "nowhere.pth", "a\0b"],
    },
    "distill": {
        "hfd_weight": [-1, NAN, INF],
        "region_weight": [-0.5, NAN],
        "pixel_weight": [INF, NAN],
        "peer_weight": [-1, NAN],
        "start": [-0.1, 1, NAN],
        "ramp": [-0.1, 1.1, NAN],
        "region_size": [0, -4],
        "temperature": [0, -1, NAN, INF],
        "margin": [-1, NAN, INF],
        "method": ["", "colab"],
        "hfd_distance": ["cos"],
        "balance": ["classes"],
    },
    "optim": {
        "steps": [0, -5, 10**30],
        "batch_size": [0, -1, 10**9],
        "accumulate": [0, -1],
        "lr": [0, -1, NAN, INF],
        "weight_decay": [-1, NAN, INF],
        "warmup": [-0.1, 1, NAN],
        "clip_norm": [0, -1, NAN],
        "ema": [-0.1, 1, NAN],
        "class_balance": [-0.1, 3, NAN, INF],
        "seed": [10**30, -(10**30)],
        "precision": ["fp32", "fp16"],
        "device": ["cuda:0"],
        "schedule": ["cosine"],
    },
}
for part, table in OUT_OF_RANGE.items():
    for name, values in table.items():
        for value in values:
            BAD_SETTINGS[f"{name} is {value}"] = (
                settings_with(**{f"{part}__{name}": value}),
                "weights" if name == "cnn_weights" else name,
            )
GOOD = settings_with()
for name, text in {
    "empty": "",
    "a number": "3",
    "a list": "[]",
    "null": "null",
    "a string": '"toy"',
    "cut": GOOD[:200],
    "one comma too many": GOOD[:-2] + ",}",
    "Python, not JSON": str(json.loads(GOOD)),
    "YAML": "optim:\n  lr: 3\n",
    "text behind its end": GOOD + "}",
    "an unknown key": '{"optim": {"learning_rate": 3}}',
    "an unknown part": '{"optimizer": {}}',
    "a part that is a number": '{"optim": 3}',
    "a part that is null": '{"data": null}',
    "a key in capitals": '{"optim": {"LR": 1.0}}',
    "a key with a line end": '{"optim": {"a\\nb": 1}}',
    "a key of 100000 letters": json.dumps({"a" * 100_000: 1}),
    "brackets without end": "[" * 100_000,
    "a number of 10000 digits": '{"optim": {"seed": ' + "9" * 10_000 + "}}",
    "an empty key": '{"": {}}',
}.items():
    BAD_SETTINGS[f"file: {name}"] = text, "bad.json"
BAD_SETTINGS["a method of 100000 letters"] = settings_with(distill__method="a" * 100_000), "a" * 100
BAD_SETTINGS["half of a letter"] = settings_with(data__root="\ud800"), "ud800"
BAD_BYTES = {
    "not UTF-8": GOOD.replace("camvid", "c\xe4mvid").encode("latin-1"),
    "UTF-16": GOOD.encode("utf-16"),
    "zeros": bytes(100),
    "a PNG": encoded(LABEL),
    "a pickle": pickle.dumps({"optim": 1}),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_a_setting_that_cannot_be(name, refused, tmp_path):
    text, needed = BAD_SETTINGS[name]
    make_folder(tmp_path / "data")
    (tmp_path / "bad.json").write_text(text)
    refused("wrong setting", ["train", "--config-file", "bad.json", "--no-progress"], needed)


@pytest.mark.parametrize("name", BAD_BYTES)
def test_settings_that_are_no_text(name, refused, tmp_path):
    (tmp_path / "bad.json").write_bytes(BAD_BYTES[name])
    refused("wrong setting", ["train", "--config-file", "bad.json"], "bad.json")


# Runs and their checkpoints

SMALL = ["--preset", "pocket", *conftest.SMALL]


class Bomb:
    """Makes a folder when it is unpickled by a reader that executes what it reads."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A finished run on a folder with one pair."""
    folder = tmp_path_factory.mktemp("small")
    make_folder(folder / "data")
    return train(small_config(folder / "data"), folder / "run", progress=False)


def small_config(root):
    config = tiny_config(data="camvid", root=str(root), steps=2)
    students = dataclasses.replace(config.students, decoder_width=16, head_width=16)
    return dataclasses.replace(config, students=students)


@pytest.fixture(scope="session")
def stopped_run(tmp_path_factory):
    """A run that was stopped after its first step."""
    folder = tmp_path_factory.mktemp("stopped")
    make_folder(folder / "data")
    with pytest.raises(Stopped):
        train(small_config(folder / "data"), folder / "run", progress=False, time_limit=1e-9)
    return folder / "run"


def header(tensors: bytes, more: bytes = b"") -> bytes:
    return struct.pack("<Q", len(tensors)) + tensors + more


def archive(members: dict) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def torch_saved(value, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


TENSOR = b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
NOT_WEIGHTS = {  # name: content, given the name of a folder that must not come to be
    "empty": lambda m: b"",
    "text": lambda m: b"weights\n",
    "a pickle bomb": lambda m: pickle.dumps(Bomb(m)),
    "a pickle bomb of an old protocol": lambda m: pickle.dumps({"x": Bomb(m)}, protocol=0),
    "a pickle bomb in torch's zip": lambda m: torch_saved({"state_dict": Bomb(m)}),
    "a pickle bomb in torch's old form": lambda m: torch_saved(
        {"x": Bomb(m)}, _use_new_zipfile_serialization=False
    ),
    "a zip that climbs": lambda m: archive(
        {"../../climbed": b"x", f"../{m.name}": b"x", str(m): b"x"}
    ),
    "a zip that climbs, with a pickle": lambda m: archive(
        {"../data.pkl": pickle.dumps(Bomb(m)), "../version": b"3"}
    ),
    "a zip that is a bomb": lambda m: archive(
        {"archive/data.pkl": bytes(50_000_000), "archive/version": b"3"}
    ),
    "a zip of nothing": lambda m: archive({}),
    "a web page": lambda m: b"<!DOCTYPE html><html>429 Too Many Requests</html>",
    "a Git LFS pointer": lambda m: (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n"
    ),
    "a PNG": lambda m: encoded(PHOTO),
    "a length of 8 EB": lambda m: struct.pack("<Q", 2**63) + TENSOR,
    "a length of 4 GB": lambda m: struct.pack("<Q", 2**32) + TENSOR,
    "a header that is no JSON": lambda m: header(b"{x}" + b" " * 20, bytes(8)),
    "a header that is a list": lambda m: header(b"[]      ", bytes(8)),
    "a tensor past the end": lambda m: header(TENSOR.replace(b"0,8", b"0,8000"), bytes(8)),
    "a tensor before the start": lambda m: header(TENSOR.replace(b"0,8", b"8,0"), bytes(8)),
    "a shape that overflows": lambda m: header(
        TENSOR.replace(b"[2]", b"[4611686018427387904,4]"), bytes(8)
    ),
    "a negative shape": lambda m: header(TENSOR.replace(b"[2]", b"[-2]"), bytes(8)),
    "an unknown type": lambda m: header(TENSOR.replace(b"F32", b"F99"), bytes(8)),
    "bytes left over": lambda m: header(TENSOR, bytes(800)),
    "a table of numbers": lambda m: torch_saved({"x": 1}),
    "a list of tensors": lambda m: torch_saved([torch.zeros(2)]),
    "one tensor": lambda m: torch_saved(torch.zeros(2)),
    "tensors by number": lambda m: torch_saved({1: torch.zeros(2)}),
    "no tensors": lambda m: torch_saved({}),
    "an empty state_dict": lambda m: torch_saved({"state_dict": {}}),
    "sparse tensors": lambda m: torch_saved({"conv_stem.weight": torch.eye(3).to_sparse()}),
    "a scalar": lambda m: torch_saved({"conv_stem.weight": torch.tensor(1.0)}),
    "a whole module": lambda m: torch_saved(torch.nn.Linear(2, 2)),
    "tensors of no architecture": lambda m: save({"x": torch.zeros(2)}),
    "half a file of torch": lambda m: torch_saved({"x": torch.zeros(5000)})[:9000],
    "MiT keys without their values": lambda m: torch_saved(
        {"block1.0.attn.k_proj.weight": torch.zeros(2, 2)}
    ),
}


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
@pytest.mark.parametrize("name", NOT_WEIGHTS)
def test_a_file_that_holds_no_weights(name, ending, refused, small_run, tmp_path):
    """In place of a run's student, and as first weights of either student."""
    content = NOT_WEIGHTS[name](tmp_path / "marker")
    file = tmp_path / f"bad.{ending}"
    file.write_bytes(content)
    make_folder(tmp_path / "data")
    for flag in ("--cnn-weights", "--vit-weights"):
        refused(
            "wrong weights",
            ["train", *SMALL, "--root", "data", flag, file, "--out", "run"],
            file.name,
        )
    assert not (tmp_path / "marker").exists() and not (tmp_path.parent / "climbed").exists()


@pytest.mark.parametrize("name", NOT_WEIGHTS)
def test_a_student_that_is_no_student(name, refused, small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    (run / "vit.safetensors").write_bytes(NOT_WEIGHTS[name](tmp_path / "marker"))
    (tmp_path / "a.png").write_bytes(KINDS["png"])
    refused("wrong checkpoint", ["eval", run, "--no-progress"], "vit.safetensors")
    refused("wrong checkpoint", ["predict", run, "a.png"], "vit.safetensors")
    assert not (tmp_path / "marker").exists()


def _change(run, name, change):
    tensors = load_file(run / name)
    change(tensors)
    save_file(tensors, run / name)


def _edit(run, name, change):
    table = json.loads((run / name).read_text())
    change(table)
    (run / name).write_text(json.dumps(table))


BAD_RUNS = {  # name: (what is done to a finished run, what the line says)
    "student cut": (
        lambda r: (r / "cnn.safetensors").write_bytes(
            _cut((r / "cnn.safetensors").read_bytes(), 0.7)
        ),
        "cnn.safetensors",
    ),
    "student gone": (lambda r: (r / "cnn.safetensors").unlink(), "cnn.safetensors"),
    "student a folder": (
        lambda r: (r / "cnn.safetensors").unlink() or (r / "cnn.safetensors").mkdir(),
        "cnn.safetensors",
    ),
    "students swapped": (
        lambda r: (
            (r / "cnn.safetensors").rename(r / "x"),
            (r / "vit.safetensors").rename(r / "cnn.safetensors"),
            (r / "x").rename(r / "vit.safetensors"),
        ),
        "cnn.safetensors",
    ),
    "a tensor missing": (
        lambda r: _change(r, "cnn.safetensors", lambda t: t.pop("head.weight")),
        "head.weight",
    ),
    "a tensor too many": (
        lambda r: _change(r, "cnn.safetensors", lambda t: t.update(more=torch.zeros(1))),
        "more",
    ),
    "another class count": (
        lambda r: _change(r, "cnn.safetensors", lambda t: t.update({"head.bias": torch.zeros(19)})),
        "head.bias (19,)",
    ),
    "whole numbers for weights": (
        lambda r: _change(
            r,
            "vit.safetensors",
            lambda t: t.update({"head.bias": torch.zeros(11, dtype=torch.int8)}),
        ),
        "head.bias",
    ),
    "weights that are not numbers": (
        lambda r: _change(r, "vit.safetensors", lambda t: t["head.bias"].fill_(NAN)),
        "head.bias",
    ),
    "another architecture": (
        lambda r: _edit(r, "config.json", lambda c: c["students"].update(cnn="resnet10t")),
        "cnn.safetensors",
    ),
    "another width": (
        lambda r: _edit(r, "config.json", lambda c: c["students"].update(decoder_width=24)),
        "cnn.safetensors",
    ),
    "classes cut": (
        lambda r: (r / "classes.json").write_text('{"classes": ["sky"'),
        "classes.json",
    ),
    "settings gone": (lambda r: (r / "config.json").unlink(), "config.json"),
    "settings cut": (lambda r: (r / "config.json").write_text('{"data": {"da'), "config.json"),
    "settings of another version": (
        lambda r: _edit(r, "config.json", lambda c: c["optim"].update(momentum=0.9)),
        "momentum",
    ),
    "settings that cannot be": (
        lambda r: _edit(r, "config.json", lambda c: c["students"].update(decoder_width=0)),
        "decoder_width",
    ),
    "sizes that cannot be": (
        lambda r: _edit(r, "config.json", lambda c: c["data"].update(size=[0, 0])),
        "size",
    ),
    "settings not text": (
        lambda r: (r / "config.json").write_bytes(b"\xff\xfe\x00"),
        "config.json",
    ),
}
BAD_RECORDS = {  # what only `eval` reads
    "another data set": (
        lambda r: _edit(r, "config.json", lambda c: c["data"].update(data="toyscapes")),
        "has learnt the classes",
    ),
    "no summary": (lambda r: (r / "summary.json").unlink(), "summary.json"),
    "summary cut": (lambda r: (r / "summary.json").write_text('{"steps": '), "summary.json"),
    "summary a list": (lambda r: (r / "summary.json").write_text("[]"), "summary.json"),
    "summary without steps": (
        lambda r: _edit(r, "summary.json", lambda s: s.pop("steps")),
        "summary.json",
    ),
    "no environment": (lambda r: (r / "environment.json").unlink(), "environment.json"),
    "environment cut": (lambda r: (r / "environment.json").write_text("{"), "environment.json"),
    "environment without torch": (
        lambda r: _edit(r, "environment.json", lambda s: s.pop("torch")),
        "environment.json",
    ),
    "environment not text": (
        lambda r: (r / "environment.json").write_bytes(b"\xff"),
        "environment.json",
    ),
}


@pytest.mark.parametrize("name", [*BAD_RUNS, *BAD_RECORDS])
def test_a_finished_run_that_was_spoiled(name, refused, small_run, tmp_path):
    spoil, needed = (BAD_RUNS | BAD_RECORDS)[name]
    run = shutil.copytree(small_run, tmp_path / "run")
    spoil(run)
    (tmp_path / "a.png").write_bytes(KINDS["png"])
    refused("wrong checkpoint", ["eval", run, "--no-progress"], needed)
    if name in BAD_RUNS:
        refused("wrong checkpoint", ["predict", run, "a.png"], needed)


def _state(run):
    return next(run.glob("state-*.safetensors"))


BAD_STATES = {  # name: (what is done to a stopped run, what the line says)
    "checkpoint empty": (lambda r: _state(r).write_bytes(b""), "checkpoint"),
    "checkpoint cut": (
        lambda r: _state(r).write_bytes(_cut(_state(r).read_bytes(), 0.5)),
        "checkpoint",
    ),
    "checkpoint gone": (lambda r: _state(r).unlink(), "checkpoint"),
    "checkpoint a pickle bomb": (
        lambda r: _state(r).write_bytes(pickle.dumps(Bomb(r / "marker"))),
        "checkpoint",
    ),
    "checkpoint a torch bomb": (
        lambda r: _state(r).write_bytes(torch_saved({"pair.x": Bomb(r / "marker")})),
        "checkpoint",
    ),
    "checkpoint of other students": (
        lambda r: _edit(r, "config.json", lambda c: c["students"].update(head_width=24)),
        "checkpoint",
    ),
    "checkpoint of another method": (
        lambda r: _edit(r, "config.json", lambda c: c["distill"].update(method="alone")),
        "checkpoint",
    ),
    "a moment missing": (
        lambda r: _change(r, _state(r).name, lambda t: t.pop("optimizer.0.exp_avg")),
        "checkpoint",
    ),
    "a moment of another shape": (
        lambda r: _change(
            r, _state(r).name, lambda t: t.update({"optimizer.0.exp_avg": torch.zeros(3)})
        ),
        "checkpoint",
    ),
    "a moment of no parameter": (
        lambda r: _change(
            r, _state(r).name, lambda t: t.update({"optimizer.99999.exp_avg": torch.zeros(3)})
        ),
        "checkpoint",
    ),
    "a moment without a number": (
        lambda r: _change(
            r, _state(r).name, lambda t: t.update({"optimizer.x.y.z": torch.zeros(3)})
        ),
        "checkpoint",
    ),
    "no moments": (
        lambda r: _change(
            r, _state(r).name, lambda t: [t.pop(k) for k in list(t) if k.startswith("optim")]
        ),
        "checkpoint",
    ),
    "state.json empty": (lambda r: (r / "state.json").write_text(""), "state.json"),
    "state.json a list": (lambda r: (r / "state.json").write_text("[]"), "state.json"),
    "state.json a folder": (
        lambda r: (r / "state.json").unlink() or (r / "state.json").mkdir(),
        "state.json",
    ),
    "state.json not text": (lambda r: (r / "state.json").write_bytes(b"\xff\xfe"), "state.json"),
    "state.json without its step": (
        lambda r: _edit(r, "state.json", lambda s: s.pop("step")),
        "checkpoint",
    ),
    "state.json without skipped": (
        lambda r: _edit(r, "state.json", lambda s: s.pop("skipped")),
        "checkpoint",
    ),
    "step a word": (lambda r: _edit(r, "state.json", lambda s: s.update(step="one")), "checkpoint"),
    "step negative": (lambda r: _edit(r, "state.json", lambda s: s.update(step=-3)), "checkpoint"),
    "step past the end": (
        lambda r: _edit(r, "state.json", lambda s: s.update(step=10**9)),
        "checkpoint",
    ),
    "seconds a word": (
        lambda r: _edit(r, "state.json", lambda s: s.update(seconds="long")),
        "checkpoint",
    ),
    "file a number": (lambda r: _edit(r, "state.json", lambda s: s.update(file=3)), "checkpoint"),
    "file that climbs": (
        lambda r: (
            shutil.copy(_state(r), r.parent / "outside"),
            _edit(r, "state.json", lambda s: s.update(file="../outside")),
        ),
        "checkpoint",
    ),
    "file elsewhere": (
        lambda r: (
            shutil.copy(_state(r), r.parent / "outside"),
            _edit(r, "state.json", lambda s: s.update(file=str(r.parent / "outside"))),
        ),
        "checkpoint",
    ),
    "environment cut": (
        lambda r: (r / "environment.json").write_text('{"torch": '),
        "environment.json",
    ),
    "environment a list": (lambda r: (r / "environment.json").write_text("[]"), "environment.json"),
    "settings cut": (lambda r: (r / "config.json").write_text('{"data"'), "config.json"),
    "settings gone": (lambda r: (r / "config.json").unlink(), "config.json"),
    "log shorter than the checkpoint": (
        lambda r: (r / "metrics.csv").write_text(""),
        "metrics.csv",
    ),
    "log not text": (
        lambda r: (r / "metrics.csv").write_bytes(b"\xff\xfe\x00\x00\n\x00"),
        "metrics.csv",
    ),
    "log of other steps": (
        lambda r: (r / "metrics.csv").write_text("step,loss\n7,1\n"),
        "metrics.csv",
    ),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_a_stopped_run_that_was_spoiled(name, refused, stopped_run, tmp_path):
    spoil, needed = BAD_STATES[name]
    run = shutil.copytree(stopped_run, tmp_path / "run")
    spoil(run)
    refused("wrong checkpoint", ["train", "--resume", run, "--no-progress"], needed)
    assert not (run / "marker").exists()


# Tables

COLUMNS = "data,split,method,student,seed,steps,miou,images_per_s\n"
LINE = "camvid,val,collab,cnn,0,100,50.0,3.0\n"
BAD_TABLES = {  # name: (content, what the line says)
    "empty": ("", "column"),
    "header only": (COLUMNS, "no rows"),
    "header without its end": (COLUMNS[:-1], "line 1"),
    "half a header": (COLUMNS[:20], "column"),
    "half a line": (COLUMNS + LINE + LINE[:20], "line 3"),
    "half a number": (COLUMNS + LINE + LINE.replace("cnn", "vit")[:-3], "line 3"),
    "a cell too many": (COLUMNS + LINE[:-1] + ",9\n", "line 2"),
    "an empty line in between": (COLUMNS + "\n" + LINE, "line 2"),
    "a word for the mIoU": (COLUMNS + LINE.replace("50.0", "good"), "miou"),
    "no mIoU": (COLUMNS + LINE.replace("50.0", ""), "miou"),
    "NaN for the mIoU": (COLUMNS + LINE.replace("50.0", "nan"), "miou"),
    "mIoU of 101": (COLUMNS + LINE.replace("50.0", "101"), "miou is 101"),
    "mIoU of -1": (COLUMNS + LINE.replace("50.0", "-1"), "miou is -1"),
    "infinite speed": (COLUMNS + LINE.replace("3.0", "1e999"), "images_per_s"),
    "negative steps": (COLUMNS + LINE.replace("100", "-100"), "steps"),
    "half a seed": (COLUMNS + LINE.replace(",0,", ",0.5,"), "seed"),
    "unknown student": (COLUMNS + LINE.replace("cnn", "gnn"), "student"),
    "no student": (COLUMNS + LINE.replace("cnn", ""), "student"),
    "no method": (COLUMNS + LINE.replace("collab", ""), "method"),
    "a line twice": (COLUMNS + LINE + LINE, "twice"),
    "two data sets": (
        COLUMNS + LINE + LINE.replace("camvid", "voc").replace("cnn", "vit"),
        "mixes data",
    ),
    "two splits": (
        COLUMNS + LINE + LINE.replace("val", "test").replace("cnn", "vit"),
        "mixes split",
    ),
    "semicolons": ((COLUMNS + LINE).replace(",", ";"), "column"),
    "tabs": ((COLUMNS + LINE).replace(",", "\t"), "column"),
    "a quote that is never closed": (COLUMNS + LINE.replace("collab", '"collab'), "line 2"),
    "a column twice": (COLUMNS.replace("data,split", "data,data"), "column"),
    "a column twice, all there": (COLUMNS[:-1] + ",miou\n" + LINE[:-1] + ",60.0\n", "miou"),
    "a cell of 200000 letters": (COLUMNS + LINE.replace("collab", "c" * 200_000), "line 2"),
    "a zero byte": (COLUMNS + LINE.replace("collab", "col\0lab"), "line 2"),
    "not UTF-8": ((COLUMNS + LINE.replace("collab", "coll\xe4b")).encode("latin-1"), "table.csv"),
    "UTF-16": ((COLUMNS + LINE).encode("utf-16"), "column"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(range(256)), "column"),
    "a PNG": (encoded(PHOTO), "column"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_cannot_be_read(name, tmp_path):
    content, needed = BAD_TABLES[name]
    path, fine = tmp_path / "table.csv", False
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = path.read_bytes()
    try:
        with pytest.raises(UserError) as error:
            read_results(path)
        said = str(error.value)
        assert said.isprintable() and "table.csv" in said and needed in said and len(said) < 1500, (
            said
        )
        fine = True
    finally:
        record("wrong table", 1, int(fine), int(path.read_bytes() != before))


APPENDED = {
    "of other columns": b"seed,miou\n0,50\n",
    "that is no text": b"\xff\xfe\x00",
    "that ends in half a line": None,
    "that is a picture": encoded(LABEL),
    "of which nothing but a cell is there": b"data",
}


@pytest.mark.parametrize("name", APPENDED)
def test_nothing_is_appended_to_a_table(name, refused, small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    if APPENDED[name] is None:
        assert cli.main(["eval", str(run), "--no-progress", "--append", "table.csv"]) == 0
        (tmp_path / "table.csv").write_bytes((tmp_path / "table.csv").read_bytes()[:-10])
        (run / "scores_camvid_val.json").unlink()
    else:
        (tmp_path / "table.csv").write_bytes(APPENDED[name])
    refused("wrong table", ["eval", run, "--no-progress", "--append", "table.csv"], "table.csv")


@pytest.mark.parametrize("flag", ["--append", "--json"])
def test_scores_are_not_written_onto_a_folder(flag, refused, small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    (tmp_path / "table.csv").mkdir()
    refused("wrong table", ["eval", run, "--no-progress", flag, "table.csv"], "table.csv")


# The whole corpus


def test_the_corpus_has_200_inputs_and_more():
    parts = (
        BROKEN,
        BAD_LABELS,
        BAD_FOLDERS,
        BAD_LINKS,
        ROOTS,
        ARGUMENTS,
        BAD_SETTINGS,
        BAD_BYTES,
        NOT_WEIGHTS,
        BAD_RUNS,
        BAD_RECORDS,
        BAD_STATES,
        BAD_TABLES,
        APPENDED,
    )
    print({next(iter(part)): len(part) for part in parts})
    assert sum(map(len, parts)) >= 200


def test_data_check_names_the_first_ten_of_each_kind(tmp_path, capfd):
    root = make_folder(tmp_path)
    for number in range(25):
        (root / "train" / f"b{number:02}.png").write_bytes(KINDS["png"])
        (root / "trainannot" / f"b{number:02}.png").write_bytes(
            b"x" if number < 12 else encoded(LABEL + 30)
        )
    assert cli.main(["data", "check", "camvid", "--root", str(root), "--split", "train"]) == 2
    out, said = capfd.readouterr()
    assert (
        "unreadable file: 12" in out
        and "label out of range: 13" in out
        and "and 2 more" in out
        and "and 3 more" in out
    )
    assert out.count("annot/b") == 20 and "26 problems" in said, out


# Unusual, but fine


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # a phone held upright: the rows of the file are columns of the picture
    return encoded(np.rot90(PHOTO).copy(), "JPEG", exif=exif)


UNUSUAL = {  # name: (image file, its content, label file, its content)
    "label with a palette": ("a.png", KINDS["png"], "a.png", paletted(LABEL)),
    "label of 4 bits": ("a.png", KINDS["png"], "a.png", paletted(LABEL, bits=4)),
    "label as BMP": ("a.png", KINDS["png"], "a.bmp", encoded(LABEL, "BMP")),
    "grey JPEG": ("a.jpg", encoded(PHOTO, "JPEG", mode="L"), "a.png", encoded(LABEL)),
    "progressive JPEG": (
        "a.jpg",
        encoded(PHOTO, "JPEG", progressive=True),
        "a.png",
        encoded(LABEL),
    ),
    "CMYK JPEG": ("a.jpeg", encoded(PHOTO, "JPEG", mode="CMYK"), "a.png", encoded(LABEL)),
    "RGBA": ("a.png", encoded(PHOTO, mode="RGBA"), "a.png", encoded(LABEL)),
    "grey with alpha": ("a.png", encoded(PHOTO, mode="LA"), "a.png", encoded(LABEL)),
    "palette": ("a.png", encoded(PHOTO, mode="P"), "a.png", encoded(LABEL)),
    "one bit": ("a.png", encoded(PHOTO, mode="1"), "a.png", encoded(LABEL)),
    "16 bits": ("a.png", encoded(PHOTO[..., 0].astype(np.uint16) * 257), "a.png", encoded(LABEL)),
    "WebP": ("a.webp", KINDS["webp"], "a.png", encoded(LABEL)),
    "JPEG named PNG": ("a.png", KINDS["jpg"], "a.png", encoded(LABEL)),
    "PNG named JPEG": ("a.JPG", KINDS["png"], "a.PNG", encoded(LABEL)),
    "turned by EXIF": ("a.jpg", _turned(), "a.png", encoded(LABEL)),
    "name with spaces and signs": (
        "a b%20'&;$(x).png",
        KINDS["png"],
        "a b%20'&;$(x).png",
        encoded(LABEL),
    ),
    "name in Chinese": ("街の風景.png", KINDS["png"], "街の風景.png", encoded(LABEL)),
    "name with dots": ("a.b.c.png", KINDS["png"], "a.b.c.png", encoded(LABEL)),
    "accents written in two ways": (
        "cafe\u0301.png",
        KINDS["png"],
        "caf\u00e9.png",
        encoded(LABEL),
    ),
    "long name": (f"{LONG}.png", KINDS["png"], f"{LONG}.png", encoded(LABEL)),
    "name with a line end": ("a\nb.png", KINDS["png"], "a\nb.png", encoded(LABEL)),
    "name that begins with a dash": ("-a.png", KINDS["png"], "-a.png", encoded(LABEL)),
}


@needs_links
@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_but_fine_works(name, tmp_path, capfd):
    image, its_bytes, label, its_label = UNUSUAL[name]
    root = make_folder(tmp_path / "data")
    (root / "train" / "a.png").unlink(), (root / "trainannot" / "a.png").unlink()
    (
        (root / "train" / image).write_bytes(its_bytes),
        (root / "trainannot" / label).write_bytes(its_label),
    )
    text, problems = check_report(CAMVID, root, ["train"])
    assert problems == 1 and "1 pairs in train" in text, text  # not the 367 of CamVid
    assert (
        cli.main(["data", "show", "camvid", "--root", str(root), "--out", str(tmp_path / "x.png")])
        == 0
    )
    pixels = read_image(root / "train" / image)
    truth = read_label(CAMVID, {"path": str(root / "trainannot" / label), "bytes": None})
    assert pixels.shape == (HEIGHT, WIDTH, 3) and truth.shape == (HEIGHT, WIDTH)
    if "void" not in name:
        assert (truth == np.where(LABEL == 11, 255, LABEL)).all()
    assert abs(pixels.astype(float).mean() - PHOTO.mean()) < 12, "as bright as it was"


@needs_links
def test_a_file_of_an_unusual_name_is_predicted(small_run, tmp_path):
    for name in ("街の風景.png", "a b;$(x).png", f"{LONG[:200]}.png"):
        (tmp_path / name).write_bytes(KINDS["png"])
        assert (
            cli.main(
                ["predict", str(small_run), str(tmp_path / name), "--out", str(tmp_path / "out")]
            )
            == 0
        )
        assert (tmp_path / "out" / name.replace(".png", "_cnn.png")).is_file()


@needs_links
def test_a_name_too_long_for_its_masks_is_one_line(refused, small_run, tmp_path):
    (tmp_path / f"{LONG}.png").write_bytes(KINDS["png"])
    refused("wrong argument", ["predict", small_run, tmp_path / f"{LONG}.png"], LONG)


def test_one_image_is_enough(small_run):
    assert (small_run / "summary.json").is_file()


# Bytes at random

FUZZ = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
damage = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "drop", "put"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=6,
)


def damaged(content: bytes, steps) -> bytes:
    """Bits flipped, the end cut off, bytes dropped and put in, at random places."""
    content = bytearray(content)
    for what, where, byte in steps:
        place = int(where * len(content))
        if what == "flip" and content:
            content[place] ^= 1 << byte % 8
        elif what == "cut":
            del content[place:]
        elif what == "drop":
            del content[place : place + byte % 16]
        else:
            content.insert(place, byte)
    return bytes(content)


def read_or_user_error(fault, read, *arguments):
    """What is read, or None after a UserError of one line; anything else fails."""
    fine = False
    try:
        result = read(*arguments)
        fine = True
        return result
    except UserError as error:
        fine = str(error).isprintable()
        assert fine, str(error)
    finally:
        record(fault, 1, int(fine), 0)


@FUZZ
@given(kind=st.sampled_from(sorted(KINDS)), steps=damage)
def test_a_damaged_image_is_read_or_refused(kind, steps, tmp_path):
    path = tmp_path / f"a.{kind}"
    path.write_bytes(damaged(KINDS[kind], steps))
    image = read_or_user_error("damaged image", read_image, path)
    assert image is None or (image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8)


@FUZZ
@given(form=st.sampled_from([encoded(LABEL), paletted(LABEL), encoded(LABEL, "BMP")]), steps=damage)
def test_a_damaged_label_is_read_or_refused(form, steps, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(damaged(form, steps))
    label = read_or_user_error(
        "damaged label", read_label, CAMVID, {"path": str(path), "bytes": None}
    )
    assert label is None or set(np.unique(label)) <= {*range(11), 255}


@FUZZ
@given(steps=damage)
def test_damaged_settings_are_read_or_refused(steps, tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(damaged(GOOD.encode(), steps))
    config = read_or_user_error("damaged settings", lambda: check_config(read_config(path)))
    assert config is None or isinstance(config, Config)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)
NAMES = [
    (part.name, setting.name)
    for part in dataclasses.fields(Config)
    for setting in dataclasses.fields(part.default_factory)
]


@FUZZ
@given(values=st.dictionaries(st.sampled_from(NAMES), JSON, min_size=1, max_size=2))
def test_any_value_of_a_setting_is_taken_or_refused(values):
    text = settings_with(**{f"{part}__{name}": value for (part, name), value in values.items()})
    config = read_or_user_error("any setting", lambda: check_config(config_from_json(text)))
    assert config is None or config_from_json(config_to_json(config)) == config


@FUZZ
@given(form=st.sampled_from(["safetensors", "zip", "old"]), steps=damage)
def test_damaged_weights_are_read_or_refused(form, steps, tmp_path):
    tensors = {
        "a.weight": torch.ones(3, 4),
        "a.bias": torch.ones(3, dtype=torch.float16),
        "count": torch.tensor(7),
    }
    whole = (
        save(tensors)
        if form == "safetensors"
        else torch_saved(tensors, _use_new_zipfile_serialization=form == "zip")
    )
    path = tmp_path / ("a.safetensors" if form == "safetensors" else "a.pth")
    path.write_bytes(damaged(whole, steps))
    weights = read_or_user_error("damaged weights", read_weights, path)
    assert weights is None or all(isinstance(value, torch.Tensor) for value in weights.values())


@FUZZ
@given(steps=damage)
def test_a_damaged_table_is_read_or_refused(steps, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(damaged((COLUMNS + LINE + LINE.replace("cnn", "vit")).encode(), steps))
    read_or_user_error("damaged table", read_results, path)
