"""One way to see a picture: training, scoring, prediction and exports read an image at the same size."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from conftest import tiny_config
from PIL import Image

from collab_seg.config import (
    Config,
    DataConfig,
    OptimConfig,
    config_from_json,
    config_sha,
    config_to_json,
)
from collab_seg.data.reading import read_shape, resize_image, undecoded
from collab_seg.data.scenes import Scenes
from collab_seg.data.sources import open_source
from collab_seg.data.views import normalize
from collab_seg.presets import PRESETS
from collab_seg.show import STUDENTS
from collab_seg.training.evaluate import evaluate, open_students, score_run
from collab_seg.training.loop import train
from collab_seg.training.metrics import Confusion
from collab_seg.use import cli
from collab_seg.use.deploy import as_read
from collab_seg.use.export import export_run
from collab_seg.use.predict import predict_files

SIZES = [
    (90, 60),
    (60, 90),
    (120, 50),
    (48, 64),
    (70, 70),
]  # upright, lying, long, as the setting, square


def photos(root, splits=("train", "val")):
    """Photos of every shape, in two halves that do not look alike."""
    rng = np.random.default_rng(0)
    for split in splits:
        for number, (height, width) in enumerate(SIZES):
            label = np.zeros((height, width), np.uint8)
            label[:, width // 3 :] = 1
            label[: height // 4] = 2
            photo = np.array([(60, 60, 60), (200, 120, 40), (90, 160, 230)], np.uint8)[
                label
            ] + rng.integers(0, 30, (height, width, 3), np.uint8)
            for kind, array in (("images", photo), ("labels", label)):
                (root / kind / split).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(root / kind / split / f"p{number}.png")
    return root


def own_config(root, steps=3, **data):
    config = tiny_config(steps=steps, data="folder", root=str(root), classes="a,b,c", **data)
    return config


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run on own photos, which keep their aspect ratio by default."""
    root = photos(tmp_path_factory.mktemp("photos"))
    config = own_config(root, steps=20)
    students = dataclasses.replace(config.students, cnn="test_resnet", output_stride=16)
    config = dataclasses.replace(config, students=students)  # the smallest: a test exports them
    return train(config, tmp_path_factory.mktemp("runs") / "kept", progress=False), root


def scores_of_masks(run, root, out):
    """The counts of the masks that `predict` writes, read back from their files."""
    files = sorted((root / "images" / "val").iterdir())
    predict_files(run, files, out, progress=False, masks="ids")
    counts = {way: Confusion(3) for way in STUDENTS}
    for file in files:
        truth = torch.from_numpy(np.array(Image.open(root / "labels" / "val" / f"{file.stem}.png")))
        for way in STUDENTS:
            counts[way].update(
                torch.from_numpy(np.array(Image.open(out / way / f"{file.stem}.png"))), truth
            )
    return {way: count.score() for way, count in counts.items()}


def test_the_score_is_that_of_the_masks(kept, tmp_path):
    run, root = kept
    scores, masks = score_run(run)[0], scores_of_masks(run, root, tmp_path / "seen")
    for way in STUDENTS:
        assert (
            torch.equal(scores[way].iou, masks[way].iou)
            and scores[way].accuracy == masks[way].accuracy
        )


def test_stretched_the_score_is_another_than_that_of_the_masks_and_eval_says_so(tmp_path, capsys):
    root = photos(tmp_path)
    run = train(own_config(root, steps=20, aspect="stretch"), tmp_path / "run", progress=False)
    scores, masks = score_run(run)[0], scores_of_masks(run, root, tmp_path / "seen")
    assert any(scores[way].accuracy != masks[way].accuracy for way in STUDENTS)
    assert cli.main(["eval", str(run), "--no-progress"]) == 0
    assert (
        "note: 4 of 5 images have another shape than 48x64 and were stretched to it"
        in capsys.readouterr().err
    )


def test_nothing_is_said_where_nothing_is_stretched(kept, capsys):
    assert cli.main(["eval", str(kept[0]), "--no-progress"]) == 0
    assert "note" not in capsys.readouterr().err


def test_training_reads_images_as_prediction_does(kept):
    config = open_students(kept[0])[3]
    scenes = Scenes(open_source(config.data), "train", config.data.root, config.data.read_size)
    shapes = []
    for (image, label), row in zip(
        scenes, undecoded(scenes.source.load(config.data.root, "train"))
    ):
        whole = torch.from_numpy(np.array(Image.open(row["image"]["path"]))).permute(2, 0, 1)
        assert (
            torch.equal(normalize(image), as_read(whole, config.data.short_side))
            and label.shape == image.shape[1:]
        )
        assert abs(image.shape[1] / image.shape[2] - whole.shape[1] / whole.shape[2]) < 0.02
        shapes.append(tuple(image.shape[1:]))
    assert shapes == [(72, 48), (48, 72), (115, 48), (48, 64), (48, 48)]


def test_an_exported_file_gives_what_prediction_gives(kept, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run, root = kept
    path, _ = export_run(run, tmp_path / "both.onnx", "onnx", "average")
    about = json.loads(path.with_suffix(".json").read_text())
    session = onnxruntime.InferenceSession(path)
    cnn, vit, _, config = open_students(run)
    for size in SIZES[:3]:
        whole = torch.from_numpy(
            np.array(Image.open(root / "images" / "val" / f"p{SIZES.index(size)}.png"))
        ).permute(2, 0, 1)
        shape = read_shape(*size, about["short_side"])
        small = resize_image(whole, shape)
        if min(shape) < 64:  # an export takes 64 pixels a side or more
            small = resize_image(whole, read_shape(*size, 64))
        theirs = session.run(None, {session.get_inputs()[0].name: small[None].numpy()})[0]
        ours = (
            cnn.probabilities(normalize(small)[None], small.shape[-2:])
            + vit.probabilities(normalize(small)[None], small.shape[-2:])
        ) / 2
        assert np.abs(theirs - ours.detach().numpy()).max() < 1e-4
    assert about["short_side"] == config.data.short_side == 48


OLD = """{"data": {"data": "folder", "root": "ROOT", "split": "train", "classes": "a,b,c", "palette": null, "void": [],
"reduce_zero_label": false, "val_fraction": 0.1, "image_column": null, "label_column": null, "size": [48, 64], "crop": [48, 64],
"scale": [0.5, 2.0], "jitter": 0.3, "cache": true, "workers": 0}}"""  # as release 0.1 wrote it


def test_runs_of_old_score_as_before(tmp_path):
    root = photos(tmp_path)
    run = train(own_config(root, steps=5, aspect="stretch"), tmp_path / "run", progress=False)
    written = json.loads((run / "config.json").read_text())
    del written["data"]["aspect"]
    (run / "config.json").write_text(json.dumps(written))
    scores, _, (cnn, vit), scenes = score_run(run)
    count = Confusion(3)
    for file in sorted((root / "images" / "val").iterdir()):
        image = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
        truth = torch.from_numpy(np.array(Image.open(root / "labels" / "val" / file.name)))
        small = normalize(resize_image(image, (48, 64)))[None]
        count.update(
            (cnn.probabilities(small, truth.shape) + vit.probabilities(small, truth.shape)).argmax(
                1
            )[0],
            truth,
        )
    assert torch.equal(count.score().iou, scores["average"].iou) and scenes.size == (48, 64)


def test_the_names_of_old_settings_stay(tmp_path):
    old = config_from_json(OLD)
    assert old.data.aspect == "stretch" and old.data.read_size == (48, 64)
    assert config_sha(old) == "0fde839d9541"  # as release 0.1 named it
    told = {"classes": "a,b,c", "crop": (48, 64), "data": "folder", "size": (48, 64)}
    assert config_sha(old) == config_sha(Config(data=DataConfig(**told, aspect="stretch")))
    assert (
        config_sha(old)
        != config_sha(Config(data=DataConfig(**told)))
        == config_sha(Config(data=DataConfig(**told, aspect="keep")))
    )
    for name, preset in PRESETS.items():
        stretched = dataclasses.replace(
            preset, data=dataclasses.replace(preset.data, aspect="stretch")
        )
        keeping = dataclasses.replace(preset, data=dataclasses.replace(preset.data, aspect="keep"))
        assert config_sha(preset) == config_sha(stretched) and (
            config_sha(keeping) != config_sha(preset)
        ) == (preset.data.size is not None)
    assert config_sha(Config()) == "2cbb318dcce3"
    assert config_from_json(config_to_json(Config(optim=OptimConfig(steps=7)))) == Config(
        optim=OptimConfig(steps=7)
    )


def test_another_data_set_is_read_by_its_own_rule(tiny_run, tmp_path):
    """A run on ToyScapes stretches; photos of another source, given with --data, keep their shape."""
    source, config = open_students(tiny_run)[2:]
    rng = np.random.default_rng(1)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        Image.fromarray(rng.integers(0, 255, (90, 60, 3), np.uint8)).save(
            tmp_path / "images" / split / "a.png"
        )
        Image.fromarray((np.arange(90 * 60) % 10).reshape(90, 60).astype(np.uint8)).save(
            tmp_path / "labels" / split / "a.png"
        )
    (tmp_path / "classes.txt").write_text("\n".join(source.classes))
    scenes = score_run(tiny_run, data="folder", root=str(tmp_path))[3]
    assert (
        config.data.read_size == (48, 64)
        and scenes.size == 48
        and scenes[0][0].shape[1:] == (72, 48)
    )


def test_pictures_of_photos_of_every_shape_are_drawn(kept, tmp_path):
    from collab_seg.training.pictures import save_pictures

    run, _ = kept
    scores, source, students, scenes = score_run(run)
    path = save_pictures(tmp_path / "pictures.png", *students, scenes, count=5)
    assert Image.open(path).size[1] > 500
    assert (
        len(scores) == 3
        and cli.main(
            [
                "data",
                "show",
                "folder",
                "--root",
                str(kept[1]),
                "--classes",
                "a,b,c",
                "--split",
                "val",
                "--out",
                str(tmp_path / "data.png"),
            ]
        )
        == 0
    )


def test_windows_score_photos_of_every_shape(kept):
    config = open_students(kept[0])[3]
    cnn, vit, source, _ = open_students(kept[0])
    scenes = Scenes(
        open_source(config.data),
        "val",
        config.data.root,
        config.data.read_size,
        cache=False,
        keep_label_size=True,
    )
    whole, windows = evaluate(cnn, vit, scenes), evaluate(cnn, vit, scenes, window=(40, 40))
    assert (
        source.classes == ("a", "b", "c")
        and abs(whole["average"].accuracy - windows["average"].accuracy) < 0.5
    )


@pytest.mark.parametrize(
    ("own", "size", "shape"),
    [
        ((180, 120), (120, 160), (120, 160)),
        ((180, 120), 120, (180, 120)),
        ((240, 320), 120, (120, 160)),
        ((20, 300), None, (32, 300)),
        ((3000, 100), 16, (480, 32)),
        ((101, 67), 50, (75, 50)),
    ],
)
def test_the_size_at_which_an_image_is_read(own, size, shape):
    assert read_shape(*own, size) == shape
