"""Many files and large photos: the quick ways find and read what the plain ways do."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from collab_seg.config import Config, DataConfig
from collab_seg.core import UserError
from collab_seg.data.camvid import find_camvid, load_camvid
from collab_seg.data.folder import find_folder
from collab_seg.data.pairs import load_pairs, plain_names, plain_pairs
from collab_seg.data.parquet import convert
from collab_seg.data.reading import read_image, read_pair, read_scaled, read_shape, resize_image
from collab_seg.data.scenes import Scenes
from collab_seg.data.sources import open_source
from collab_seg.data.unlabelled import UnlabelledScenes
from collab_seg.data.views import Augmented
from collab_seg.training.data import make_batches
from collab_seg.use import cli

SETTINGS = DataConfig(data="folder", classes="rest,road", size=(64, 64), crop=(64, 64))


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def town(root, names, folders=("images", "labels"), ending="png"):
    for name in names:
        save(root / folders[0] / f"{name}.{ending}", np.zeros((64, 64, 3), np.uint8))
        save(root / folders[1] / f"{name}.png", np.zeros((64, 64), np.uint8))
    return root


def street(height, width):
    "A picture with edges and slopes, not noise."
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / a) + np.cos(columns / b) for a, b in ((40, 90), (70, 30), (110, 60))]
    picture = np.stack(waves, 2) * 50 + 120
    picture[height // 3 : height // 2, width // 4 :] = (200, 30, 60)
    return picture.astype(np.uint8)


# Many files


@pytest.mark.parametrize("ending", ["png", "JPG"])
def test_plain_folders_are_found_as_the_closer_look_finds_them(ending, tmp_path):
    names = ["b", "a", "a.b", "a-b", "B2", "_x", "10", "9"]
    root = town(tmp_path / "camvid", names, ("train", "trainannot"), ending)
    for split in ("train", "fit"):
        closer = load_pairs(find_camvid(root, split), "there")
        assert load_camvid(root, split).data.table.equals(closer.data.table)
    mine = town(tmp_path / "mine", names, ending=ending)
    settings = dataclasses.replace(SETTINGS, root=str(mine), val_fraction=0.4)
    source, counts = open_source(settings), {}
    for split in ("train", "val"):
        closer = load_pairs(find_folder(settings, mine, split), "there")
        assert source.load(mine, split).data.table.equals(closer.data.table)
        counts[split] = len(closer)
    assert sum(counts.values()) == len(names) and all(counts.values())


@pytest.mark.parametrize(
    "change",
    ["one lacks", "an accent", "another file", "a folder", "hidden", "two of a name", "a text"],
)
def test_what_is_not_plain_is_looked_at_more_closely(change, tmp_path):
    root = town(tmp_path, ["a", "b"])
    images, labels = root / "images", root / "labels"
    assert len(plain_pairs(images, labels)) == 2
    if change == "one lacks":
        (labels / "a.png").unlink()
    if change == "an accent":
        town(root, ["caf\u00e9"])
    if change == "another file":
        (images / "c.heic").touch()
    if change == "a folder":
        (images / "more").mkdir()
    if change == "hidden":
        (images / ".a.png").touch()
    if change == "two of a name":
        (images / "a.jpg").touch()
    if change == "a text":
        (images / "notes.txt").touch()
    assert plain_pairs(images, labels) is None
    assert plain_names(tmp_path / "nowhere") is None and plain_pairs(images, images) is None


def test_a_batch_made_of_bytes_is_that_of_its_samples(tmp_path):
    root = town(tmp_path, [f"{number}" for number in range(6)])
    settings = dataclasses.replace(SETTINGS, root=str(root), workers=0, val_fraction=0.0)
    config = dataclasses.replace(Config(), data=settings)
    batches = make_batches(config, open_source(settings), start=3)
    images, labels = next(iter(batches))
    scenes = Scenes(open_source(settings), "train", root, settings.read_size)
    one_by_one = Augmented(scenes, settings, config.optim.seed)
    keys = list(batches.sampler)[: len(images)]
    assert all(
        torch.equal(images[place], one_by_one[key][0])
        and torch.equal(labels[place], one_by_one[key][1])
        for place, key in enumerate(keys)
    )


# Large photos


def whole(path):
    return torch.from_numpy(read_image(path)).permute(2, 0, 1)


def test_photos_up_to_four_million_pixels_are_read_to_the_bit_as_before(tmp_path):
    save(tmp_path / "a.jpg", street(2000, 2000), quality=90)
    for size in (32, 250, (100, 150), None):
        shape = read_shape(2000, 2000, size)
        expected = whole(tmp_path / "a.jpg")
        expected = expected if size is None else resize_image(expected, shape)
        assert torch.equal(read_scaled(tmp_path / "a.jpg", size), expected)
    save(tmp_path / "b.png", street(2100, 2000))  # no JPEG
    expected = resize_image(whole(tmp_path / "b.png"), (105, 100))
    assert torch.equal(read_scaled(tmp_path / "b.png", 100), expected)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("size", [512, (400, 500), 1400])
def test_a_large_photo_hardly_changes_and_keeps_its_shape(size, turned, tmp_path):
    note, path = Image.Exif(), tmp_path / "a.jpg"
    note[0x0112] = 6 if turned else 1
    save(path, street(2161, 3001), quality=95, exif=note)
    expected = whole(path)
    assert expected.shape[1:] == ((3001, 2161) if turned else (2161, 3001))
    expected = resize_image(expected, read_shape(*expected.shape[1:], size))
    read = read_scaled(path, size)
    assert read.shape == expected.shape
    change = (read.int() - expected).abs().float().mean()
    assert change < 0.5 and (change == 0) == (size == 1400)  # too near to its own size


def test_training_and_prediction_read_a_large_photo_alike(tmp_path):
    root = tmp_path / "mine"
    save(root / "images" / "a.jpg", street(2001, 3001), quality=90)
    save(root / "labels" / "a.png", np.zeros((2001, 3001), np.uint8))
    settings = dataclasses.replace(SETTINGS, root=str(root), val_fraction=0.0)
    source = open_source(settings)
    image, label = Scenes(source, "train", root, 64)[0]
    assert torch.equal(image, read_scaled(root / "images" / "a.jpg", 64))
    assert label.shape == image.shape[1:] == (64, 96)
    rows = Scenes(source, "train", root).rows
    assert torch.equal(UnlabelledScenes(rows.select_columns("image"), 64)[0], image)
    assert Scenes(source, "train", root, 64, keep_label_size=True)[0][1].shape == (2001, 3001)


def test_a_label_of_the_reduced_size_is_no_label_of_the_photo(tmp_path):
    root = tmp_path / "mine"
    save(root / "images" / "a.jpg", street(2400, 3200), quality=90)
    save(root / "labels" / "a.png", np.zeros((300, 400), np.uint8))  # an eighth
    settings = dataclasses.replace(SETTINGS, root=str(root), val_fraction=0.0)
    source = open_source(settings)
    row = Scenes(source, "train", root).rows[0]
    for size in (None, 64, 150):
        with pytest.raises(UserError, match="is 400x300, its image 3200x2400"):
            read_pair(source, row, size)


def test_a_photo_with_a_preview_is_reduced_as_well(tmp_path):
    photo = Image.fromarray(street(1999, 2999))
    photo.save(
        tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[photo.resize((99, 66))]
    )
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "MPO"
    read, expected = read_scaled(tmp_path / "a.jpg", 128), whole(tmp_path / "a.jpg")
    expected = resize_image(expected, read.shape[1:])
    assert (read.int() - expected).abs().float().mean() < 0.5 and expected.shape[1] == 128


# Pictures stored at the size at which they are read


def stored(source, root, out, side, **settings):
    "What `convert` has stored at a shorter side, opened."
    convert(source, root, out, progress=False, short_side=side)
    return open_source(DataConfig(data="hf", root=str(out), **settings))


@pytest.mark.parametrize("turned, coloured", [(True, False), (False, True)])
def test_what_is_stored_small_is_what_training_reads(turned, coloured, tmp_path):
    note, root = Image.Exif(), tmp_path / "mine"
    note[0x0112] = 6 if turned else 1
    random = np.random.default_rng(0)
    for number, shape in enumerate(((2001, 3003), (129, 130), (128, 300), (40, 900))):
        save(root / "images" / f"{number}.jpg", street(*shape), quality=90, exif=note)
        label = random.integers(0, 3, shape[:: -1 if turned else 1], np.uint8)
        colours = np.array([(9, 9, 9), (0, 200, 0), (1, 2, 3)], np.uint8)
        save(root / "labels" / f"{number}.png", colours[label] if coloured else label + 5)
    given = {"label_values": (5, 6), "void": (7,)}
    if coloured:
        (tmp_path / "colours.txt").write_text("rest 9 9 9\nroad 0 200 0\nvoid 1 2 3\n")
        given = {"palette": str(tmp_path / "colours.txt"), "classes": None}
    own = dataclasses.replace(SETTINGS, root=str(root), val_fraction=0.0, **given)
    source = dataclasses.replace(open_source(own), splits={"train": None})
    small = stored(source, root, tmp_path / "small", 128)
    large = Scenes(source, "train", root, 128)
    read = Scenes(small, "train", tmp_path / "small", 128)
    assert len(large) == len(read) == 4 and small.classes == ("rest", "road")
    for number in range(4):
        for one, other in zip(large[number], read[number]):
            assert torch.equal(one, other)
    names = [Path(row["image"]["path"]).name for row in read.rows]
    assert names == ["0.png", "1.png", "2.jpg", "3.jpg"]  # small ones keep their bytes
    assert read.rows[3]["image"]["bytes"] == (root / "images" / "3.jpg").read_bytes()
    assert small.void_ids == () and read[0][1].unique().tolist() == [0, 1, 255]


def test_storing_small_says_what_is_wrong(tmp_path, capsys):
    root = town(tmp_path / "mine", ["a", "b"])
    mine = "data convert folder --classes rest,road --val-fraction 0 --no-progress --split train"
    command = [*mine.split(), "--root", str(root), "--out", str(tmp_path / "out"), "--short-side"]
    for side, needed in (("0", "from 32 to 8192"), ("-3", "from 32"), ("9000", "to 8192"),
                         ("12.5", "a whole number"), ("large", "a whole number")):  # fmt: skip
        assert cli.main([*command, side]) == 2
        said = capsys.readouterr().err
        assert needed in said and side in said and said.count("\n") == 1, said
    assert not (tmp_path / "out").exists()
    assert cli.main([*command, "64"]) == 0
    said = capsys.readouterr().err
    assert said == (
        "note: 2 of 2 images are stored at their own size: a shorter side of 64 or less is not "
        "enlarged\n"
    )
    assert cli.main([*command, "64"]) == 2 and "is there already" in capsys.readouterr().err
    save(root / "labels" / "b.png", np.zeros((40, 40), np.uint8))
    command[command.index(str(tmp_path / "out"))] = str(tmp_path / "new")
    assert cli.main([*command, "32"]) == 2
    assert "its image 64x64; needed: the same size" in capsys.readouterr().err
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".*"))
