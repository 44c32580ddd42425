"""Parquet files that stay where they are: what is read, in which order, and whether a stop is seen."""

import collections
import dataclasses

import datasets
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import in_one_and_two_pieces, tiny_config

from collab_seg.config import DataConfig, config_sha
from collab_seg.core import UserError
from collab_seg.data import stream
from collab_seg.data.base import pair_features
from collab_seg.data.check import check_before, check_report
from collab_seg.data.hub import read_hf
from collab_seg.data.parquet import convert
from collab_seg.data.scenes import Scenes
from collab_seg.data.sources import open_source
from collab_seg.data.toyscapes import CLASSES, render
from collab_seg.data.unlabelled import open_unlabelled
from collab_seg.show import png_bytes
from collab_seg.training.data import batch_names, data_state, make_batches, make_unlabelled
from collab_seg.training.evaluate import score_run
from collab_seg.use import cli

TRAIN = {"train-00000-of-00003": 60, "train-00001-of-00003": 41, "train-00002-of-00003": 7}


def streets(first, count, columns=("image", "label")):
    "So many small streets as a table of Arrow."
    rows = []
    for number in range(first, first + count):
        parts = zip(("image", "label"), render(number, size=(32, 48)))
        cells = {
            kind: {"bytes": png_bytes(np.asarray(part, np.uint8)), "path": f"{number}.png"}
            for kind, part in parts
        }
        rows.append({kind: cells[kind] for kind in columns})
    features = datasets.Features({kind: pair_features()[kind] for kind in columns})
    return pa.Table.from_pylist(rows, schema=features.arrow_schema)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "108 labelled streets in 28 row groups, 6 of val, and 30 without labels."
    root, first = tmp_path_factory.mktemp("stream") / "set", 0
    (root / "data").mkdir(parents=True)
    for name, count in TRAIN.items():
        pq.write_table(streets(first, count), root / "data" / f"{name}.parquet", row_group_size=4)
        first += count
    pq.write_table(streets(500, 6), root / "data" / "val-00000-of-00001.parquet")
    pool = root / "data" / "pool-00000-of-00001.parquet"
    pq.write_table(streets(600, 30, ("image",)), pool, row_group_size=4)
    return root


@pytest.fixture(autouse=True)
def anew(tmp_path, monkeypatch):
    "Nothing is known of what another test has read; the cache of `datasets` is of this test."
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    read_hf.cache_clear()


@pytest.fixture
def reads(monkeypatch):
    "How often each row group was read."
    counts, read = collections.Counter(), stream.read_group

    def counted(shard, group, columns):
        counts[shard.url.rpartition("/")[2], group] += 1
        return read(shard, group, columns)

    monkeypatch.setattr(stream, "read_group", counted)
    return counts


def settings(root, **more):
    fixed = {"data": "hf", "root": str(root), "classes": ",".join(CLASSES), "streaming": True}
    return DataConfig(**{**fixed, "size": (32, 32), "crop": (32, 32), **more})


def config_of(root, method="collab", steps=3, batch=2, **more):
    config = tiny_config(method, steps=steps)
    optim = dataclasses.replace(config.optim, batch_size=batch)
    return dataclasses.replace(config, data=settings(root, **more), optim=optim)


# What is read


def test_a_streamed_row_is_that_of_the_whole_table(made):
    near, far = (settings(made, streaming=on) for on in (False, True))
    for split in ("train", "train/5", "val"):
        whole, streamed = (Scenes(open_source(one), split, made, 32) for one in (near, far))
        assert len(whole) == len(streamed) and isinstance(streamed.rows, stream.StreamedRows)
        for one, other in zip(whole, streamed):
            assert all(map(torch.equal, one, other))
    assert config_sha(config_of(made)) != config_sha(config_of(made, streaming=False))


def test_opening_reads_footers_alone(made, reads):
    source = open_source(settings(made))
    rows = source.load(made, "train")
    assert len(rows) == 108 and len(rows.groups) == 15 + 11 + 2 and not reads
    assert data_state(settings(made), source)["images"] == 108 and not reads
    check_before(settings(made), source, progress=False)
    assert sum(reads.values()) == 8 + 1  # 32 rows of train, and val


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_reads_each_row_group_once(made, reads, workers):
    config = config_of(made, steps=54, workers=workers)
    batches = make_batches(config, open_source(config.data), 0)
    held = batches.dataset.scenes.rows.groups.held
    most, taken = 0, []
    for images, labels in batches:
        most = max(most, len(held))
        taken.append((images, labels))
    assert len(reads) == 28 and {*reads.values()} == {1}
    assert most == 2 * stream.WINDOW < 28
    positions = [batches.sampler.number(place) for place in range(108)]
    assert sorted(positions) == [*range(108)]
    if workers:  # they change nothing
        config = config_of(made, steps=54)
        alone = make_batches(config, open_source(config.data), 0)
        for one, other in zip(taken, alone):
            assert all(map(torch.equal, one, other))


def test_no_group_that_is_still_needed_goes():
    for sizes in ([64] * 200, [1] * 300, [3, 500, 1, 1, 40] * 20, [5] * 17):
        shard = stream.Shard("a", None, tuple(sizes), tuple(sizes))
        rows = stream.StreamedRows([shard], {})
        for epoch in range(2):
            order = rows.order(3, epoch)
            assert sorted(order.tolist()) == [*range(sum(sizes))]
            held, read = collections.OrderedDict(), 0
            for group in rows.groups.of(order.numpy()).tolist():
                if group not in held:
                    read += 1
                    held[group] = None
                held.move_to_end(group)
                if len(held) > 2 * stream.WINDOW:
                    held.popitem(last=False)
            assert read == len(sizes)


def test_the_order_is_that_of_the_seed_and_the_epoch(made):
    rows = open_source(settings(made)).load(made, "train")
    first = rows.order(0, 0)
    assert first.equal(rows.order(0, 0)) and not first.equal(rows.order(0, 1))
    assert not first.equal(rows.order(1, 0)) and first.equal(rows.select(range(108)).order(0, 0))
    part = rows.select(range(0, 108, 5))
    assert sorted(part.order(0, 0).tolist()) == [*range(22)] and part[1] == rows[5]


# A run


@pytest.mark.parametrize("method", ["collab", "mean_pair"])
def test_a_run_cut_in_two_sees_the_same_images(made, method, tmp_path):
    more = {} if method == "collab" else {"unlabelled_split": "pool"}
    config = config_of(made, method, steps=4, split="train/9", batch=5, **more)  # 12 images
    whole, again = in_one_and_two_pieces(config, tmp_path, save_every=2)
    for name in ("cnn.safetensors", "vit.safetensors", "metrics.csv"):
        assert (whole / name).read_bytes() == (again / name).read_bytes()
    assert score_run(whole)[0]["average"].miou >= 0


def test_going_on_gives_the_batches_that_were_left(made):
    config = config_of(made, steps=70)  # into the second epoch
    source = open_source(config.data)
    whole = [*make_batches(config, source, 0)]
    for start in (1, 30, 60):
        batches = make_batches(config, source, start)
        rest = [*batches]
        assert len(rest) == 70 - start
        for one, other in zip(whole[start:], rest):
            assert all(map(torch.equal, one, other))
        places = range(2 * start + 2, 2 * start + 4)
        names = [f"{batches.sampler.number(place)}.png" for place in places]
        assert batch_names(batches, 1) == names


def test_going_on_with_another_shard_is_refused(made, tmp_path):
    from collab_seg.training.data import same_data
    from collab_seg.training.loop import train
    from collab_seg.training.run import Run

    root = tmp_path / "set" / "data"
    root.mkdir(parents=True)
    for number in range(2):
        table = streets(8 * number, 8)
        pq.write_table(table, root / f"train-0000{number}-of-00002.parquet", row_group_size=4)
    pq.write_table(streets(500, 2), root / "val-00000-of-00001.parquet")
    config = config_of(root.parent, steps=1)
    run = Run(train(config, tmp_path / "run", progress=False))
    same_data(run, config.data, open_source(config.data))
    pq.write_table(streets(40, 8), root / "train-00001-of-00002.parquet", row_group_size=8)
    read_hf.cache_clear()
    with pytest.raises(UserError, match="has changed since the run began.*first new: train-00001"):
        same_data(run, config.data, open_source(config.data))


# Images without labels


def test_another_part_gives_images_without_labels(made, reads):
    data = settings(made, unlabelled_split="pool", workers=2)
    source = open_source(data)
    images = open_unlabelled(data, source)
    assert len(images) == 30 and images[3].shape == (3, 32, 48) and len(images.names) == 1
    reads.clear()
    config = config_of(made, "mean_pair", steps=15, unlabelled_split="pool", workers=2)
    batches = make_unlabelled(config, source, 0, images)
    assert len([*batches]) == 15
    assert {group for _, group in reads} <= {*range(8)} and max(reads.values()) == 1


@pytest.mark.parametrize(
    "more, said",
    [
        ({"labelled": "3"}, "labelled is 3, and streamed images are not told apart"),
        ({"unlabelled": "rest"}, "unlabelled is rest, and streamed"),
        ({"unlabelled": "photos"}, "unlabelled is photos, and streamed"),
        ({"unlabelled_split": "train"}, "needed: --unlabelled-split with another part"),
    ],
)
def test_what_needs_all_names_is_refused(made, more, said):
    with pytest.raises(UserError, match=said):
        open_source(settings(made, **more))


# A server


def test_shards_on_a_server(made, tmp_path, reads):
    """The memory of fsspec stands for a server: nothing of it lies on the disk."""
    part = dataclasses.replace(open_source(settings(made)), splits={"train": None, "val": None})
    out = convert(part, made, tmp_path / "packed", progress=False)  # 64 rows a group
    server = fsspec.filesystem("memory")
    server.put(str(out), "/bucket/packed", recursive=True)
    url = "memory://bucket/packed"
    source = open_source(settings(url, classes=None))  # what labels mean lies there, too
    assert source.classes == CLASSES and source.splits == {"train": 108, "val": 6}
    near = Scenes(open_source(settings(made)), "train", made, 32)
    reads.clear()
    far = Scenes(source, "train", url, 32)
    assert all(map(torch.equal, near[70], far[70])) and sum(reads.values()) == 2
    config = config_of(url, steps=2, classes=None, workers=2)
    assert len([*make_batches(config, source, 0)]) == 2
    text, problems = check_report(source, url, progress=False)
    assert problems == 0 and "train: 108 images" in text
    server.rm("/bucket", recursive=True)


# Mistakes


def broken(root, kind):
    "A data set with a fault."
    data = root / "data"
    data.mkdir(parents=True)
    train, val = data / "train-00000-of-00002.parquet", data / "val-00000-of-00001.parquet"
    pq.write_table(streets(0, 8), train, row_group_size=4)
    pq.write_table(streets(8, 2), val)
    second = data / "train-00001-of-00002.parquet"
    if kind == "columns":
        pq.write_table(streets(8, 2).drop_columns("label"), second)
    if kind == "cut off":
        second.write_bytes(train.read_bytes()[:-100])
    if kind == "empty file":
        second.touch()
    if kind == "no label":
        pq.write_table(streets(0, 8, ("image",)), train)
    if kind == "no image":
        pq.write_table(streets(0, 8, ("label",)), train)
    if kind == "no val":
        val.unlink()
    if kind == "no shards":
        train.unlink(), val.unlink()
    if kind == "no rows":
        pq.write_table(streets(0, 8).slice(0, 0), train)
    if kind == "photos":
        train.unlink(), val.unlink()
        (data / "a.png").write_bytes(png_bytes(np.zeros((4, 4), np.uint8)))


@pytest.mark.parametrize(
    "kind, said",
    [
        ("columns", "train-00001-of-00002.parquet has other columns than .*: image struct"),
        ("cut off", "train-00001-of-00002.parquet cannot be read .*; needed: the whole file"),
        ("empty file", "train-00001-of-00002.parquet cannot be read .*; needed: the whole file"),
        ("no label", "no column of images is called label, .*columns: image"),
        ("no image", "no column of images is called image, .*columns: label"),
        ("no val", "has no part val, and none is held out of streamed images; needed: shards"),
        ("no shards", "cannot be had .EmptyDatasetError"),
        ("no rows", "the split train of hf is empty; needed: one image or more"),
        ("photos", "has no file of Parquet; needed: files of Parquet"),
    ],
)
def test_a_data_set_with_a_fault_gets_one_line(kind, said, tmp_path):
    broken(tmp_path / "set", kind)
    with pytest.raises(UserError, match=said) as found:
        config = config_of(tmp_path / "set")
        make_batches(config, open_source(config.data), 0)
    assert "\n" not in str(found.value)


def test_what_is_no_folder_of_shards_gets_one_line(made, tmp_path):
    (tmp_path / "file").touch()
    for root, said in (
        (tmp_path / "nowhere", "cannot be had"),
        (tmp_path / "file", "is a file; needed: --root, the folder"),
        ("memory://nowhere/set", "cannot be had .EmptyDatasetError"),
        ("nosuch://bucket", "cannot be had .*nosuch"),
    ):
        with pytest.raises(UserError, match=said) as found:
            open_source(settings(root))
        assert "\n" not in str(found.value)
    datasets.Dataset(streets(0, 2)).save_to_disk(tmp_path / "saved")
    with pytest.raises(UserError, match="Parquet"):
        open_source(settings(tmp_path / "saved"))


def test_a_row_group_that_would_fill_the_memory_is_refused(made, monkeypatch):
    monkeypatch.setattr(stream, "MOST_MB", 0)
    with pytest.raises(UserError, match="has a row group of 0 MB; needed: 0 MB at most, written"):
        open_source(settings(made))


def test_a_shard_that_changes_meanwhile_is_named(tmp_path):
    broken(tmp_path / "set", None)
    rows = open_source(settings(tmp_path / "set")).load(tmp_path / "set", "train")
    train = tmp_path / "set" / "data" / "train-00000-of-00002.parquet"
    pq.write_table(streets(0, 3), train)
    with pytest.raises(UserError, match="has changed since it was opened"):
        rows[0]
    train.unlink()
    with pytest.raises(UserError, match="cannot be read .FileNotFoundError"):
        rows[5]


def test_streaming_is_for_hf_alone(capsys):
    assert cli.main(["data", "check", "toyscapes", "--streaming"]) == 2
    assert "streaming is True with toyscapes; needed: --data hf with it" in capsys.readouterr().err
