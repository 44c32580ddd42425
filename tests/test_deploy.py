"""Students leave the kit and stay the same: hub folders, transformers, ONNX, torch.export; and its mistakes."""

import dataclasses
import functools
import hashlib
import json
from unittest.mock import patch

import numpy as np
import pytest
import torch
from conftest import tiny_config
from PIL import Image

from collab_seg.core import UserError
from collab_seg.data.views import normalize
from collab_seg.students.vit import vit_student
from collab_seg.training.loop import train
from collab_seg.training.run import load_students
from collab_seg.use import cli, export, export_int8
from collab_seg.use.deploy import (
    PretrainedStudent,
    as_read,
    first_weights,
    model_card,
    pretrained_student,
)
from collab_seg.use.export import export_path, export_run, save_run
from collab_seg.use.other_libraries import to_smp, to_transformers


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished, scored run of the smallest students, whose weights and statistics are none that a fresh network has."""
    config = tiny_config()
    config = dataclasses.replace(
        config, students=dataclasses.replace(config.students, cnn="test_resnet", output_stride=16)
    )
    path = tmp_path_factory.mktemp("runs") / "small"
    file = path.with_name("config.json")
    from collab_seg.config import config_to_json

    file.write_text(config_to_json(config))
    assert cli.main(["train", "--config-file", str(file), "--out", str(path), "--no-progress"]) == 0
    return path


@pytest.fixture(scope="module", autouse=True)
def each_graph_is_made_once():
    """To trace a student and to write its graph takes ten seconds: tests that export the same student share both."""
    export_program, onnx, traced = export.export_program, functools.cache(export.to_onnx), {}

    def trace(deployed):
        key = hashlib.sha256(
            b"".join(x.numpy().tobytes() for x in deployed.state_dict().values())
        ).digest()
        if key not in traced:
            traced[key] = export_program(deployed)
        return traced[key]

    with (
        patch.object(export, "export_program", trace),
        patch.object(export_int8, "export_program", trace),
        patch.dict(export.EXPORT_FORMATS, onnx=onnx),
        patch.object(export_int8, "to_onnx", onnx),
    ):
        yield


def test_onnx_of_the_average_is_what_both_students_say_at_any_size(run, tmp_path, capsys):
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    assert cli.main(["export", str(run), "--out", str(tmp_path / "both.onnx")]) == 0
    assert "both.onnx" in capsys.readouterr().out
    cnn, vit, _ = load_students(run, 10)
    session = ort.InferenceSession(str(tmp_path / "both.onnx"), providers=["CPUExecutionProvider"])
    for shape in ((1, 3, 64, 64), (3, 3, 75, 131), (1, 3, 180, 240)):
        image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        found = session.run(None, {"image": image})[0]
        x = normalize(torch.from_numpy(image))
        expected = (cnn.probabilities(x) + vit.probabilities(x)) / 2
        assert found.shape == expected.shape and np.abs(found - expected.numpy()).max() < 1e-4
    names = json.loads((tmp_path / "both.json").read_text())
    assert (
        names["classes"][0] == "sky" and len(names["palette"]) == 10 and names["short_side"] == 48
    )


def test_int8_of_both_students_is_small_close_and_says_what_it_is(run, tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    words = ["--int8", "--calibrate", "6", "--max-drop", "100", "--out", f"{tmp_path}/"]
    assert cli.main(["export", str(run), *words]) == 0
    said = capsys.readouterr().out
    assert "calibrated on 6 images of toyscapes, train" in said and "times as fast" in said
    about = json.loads((tmp_path / "average-int8.json").read_text())
    assert about["precision"] == "int8" and about["calibrated_on"]["images"] == 6
    assert about["checked_on"]["agreement"] > 0.9 and about["checked_on"]["of"] == "toyscapes, val"
    model = onnx.load(tmp_path / "average-int8.onnx")
    assert {p.key: p.value for p in model.metadata_props}["precision"] == "int8"
    kinds = {node.op_type for node in model.graph.node}
    assert "QuantizeLinear" in kinds and "Softmax" in kinds  # attention's stays in floating point
    cnn, vit, _ = load_students(run, 10)
    session = ort.InferenceSession(
        str(tmp_path / "average-int8.onnx"), providers=["CPUExecutionProvider"]
    )
    from collab_seg.data.scenes import Scenes
    from collab_seg.data.sources import get_source

    scenes = Scenes(get_source("toyscapes"), "val", size=(75, 131), cache=False)
    image = torch.stack([scenes[0][0], scenes[1][0]])  # another size and number than it has seen
    found = session.run(None, {"image": image.numpy()})[0]
    x = normalize(image)
    expected = (cnn.probabilities(x) + vit.probabilities(x)) / 2
    assert found.shape == expected.shape
    assert (found.argmax(1) == expected.argmax(1).numpy()).mean() > 0.85


def test_int8_is_calibrated_on_own_images_and_not_written_where_it_costs_too_much(
    run, tmp_path, capsys
):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    command = ["export", str(run), "--student", "cnn", "--int8", "--images", str(tmp_path)]
    out = ["--out", str(tmp_path / "night.onnx")]
    assert cli.main([*command, *out, "--max-drop", "100"]) == 0
    assert "calibrated on 2 images of own images" in capsys.readouterr().out
    (tmp_path / "night.onnx").unlink()
    assert cli.main([*command, *out, "--max-drop", "-100"]) == 2
    assert "needed: at most -100 points less" in capsys.readouterr().err
    assert not (tmp_path / "night.onnx").exists()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--int8", "--format", "torch"], "format is torch; needed: onnx"),
        (["--images", "photos"], "needed: --int8"),
        (["--int8", "--calibrate", "0"], "calibrate is 0"),
        (["--int8", "--images", "no/such.png"], "no/such.png"),
    ],
)
def test_mistakes_with_int8_are_one_line(words, said, run, capsys):
    pytest.importorskip("onnxruntime")
    assert cli.main(["export", str(run), *words]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error and "\n" not in error


def test_int8_names_the_packages_that_it_lacks(run, monkeypatch):
    monkeypatch.setattr(export_int8.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install onnx onnxscript onnxruntime"):
        export_int8.export_int8(run)


def test_torch_export_is_what_the_student_says(run, tmp_path):
    path, difference = export_run(run, tmp_path / "cnn.pt2", "torch", "cnn")
    assert difference < 1e-5
    module = torch.export.load(path).module()
    image = torch.randint(0, 256, (2, 3, 70, 90), dtype=torch.uint8)
    cnn, _, _ = load_students(run, 10)
    assert (module(image) - cnn.probabilities(normalize(image))).abs().max() < 1e-5


def test_a_saved_student_comes_back_whole(run, tmp_path):
    assert (
        cli.main(
            [
                "export",
                str(run),
                "--format",
                "hub",
                "--student",
                "vit",
                "--out",
                str(tmp_path / "vit"),
            ]
        )
        == 0
    )
    again = PretrainedStudent.from_pretrained(tmp_path / "vit")
    _, vit, _ = load_students(run, 10)
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), vit.state_dict().values())
    )
    assert not again.training and again.classes[0] == "sky" and again.short_side == 48
    scored = json.loads((run / "scores_toyscapes_val.json").read_text())
    score = next(row["miou"] for row in scored if row["student"] == "vit")
    card = (tmp_path / "vit" / "README.md").read_text()
    assert f"toyscapes, val: mIoU {score}" in card and "licence" in card
    mask = again.segment(np.asarray(Image.new("RGB", (77, 50), (120, 90, 60))))
    assert mask.shape == (50, 77) and mask.dtype == np.uint8


def test_an_export_into_a_folder_is_named_after_the_student(run, tmp_path):
    path, _ = export_run(run, f"{tmp_path}/new/", "torch", "cnn")
    assert (
        path == tmp_path / "new" / "cnn.pt2"
        and path.is_file()
        and path.with_suffix(".json").is_file()
    )
    assert export_path(run, tmp_path, "onnx", "cnn") == tmp_path / "cnn.onnx"


def test_the_card_says_where_a_student_began_and_leaves_out_scores_that_are_none(run, tmp_path):
    """MiT's published weights are for research only, and so is what was trained from them."""
    student = pretrained_student(run, "vit")
    assert "It began from random weights and learnt toyscapes" in model_card(student).text
    student.about["first_weights"] = first_weights("mit_b0", "imagenet")
    assert "for research only" in model_card(student).text
    settings = json.loads((run / "config.json").read_text())
    settings["data"] |= {"data": "folder", "root": "/home/me/my_streets"}
    (tmp_path / "own").mkdir()
    for file in (*run.glob("*.safetensors"), run / "classes.json"):
        (tmp_path / "own" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "own" / "config.json").write_text(json.dumps(settings))
    card = model_card(pretrained_student(tmp_path / "own", "cnn")).text
    assert "a data set of its maker's own, my_streets" in card and "/home" not in card
    (run / "scores_secret_test.json").write_text(
        json.dumps([{"data": "secret", "split": "test", "student": "vit", "miou": None}])
    )
    try:
        assert "secret" not in model_card(pretrained_student(run, "vit")).text
    finally:
        (run / "scores_secret_test.json").unlink()


def test_a_student_comes_back_by_its_name_on_the_hub_from_the_cache(run, tmp_path):
    """The hub cannot be had here: its cache, laid out as huggingface_hub lays it out, stands in for it."""
    cache = tmp_path / "models--somebody--student"
    save_run(run, cache / "snapshots" / "abc123", "hub", "vit")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc123")
    again = PretrainedStudent.from_pretrained("somebody/student", cache_dir=tmp_path)
    _, vit, _ = load_students(run, 10)
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), vit.state_dict().values())
    )


@pytest.mark.parametrize("spoil", ["a tensor is gone", "another shape", "an unknown tensor"])
def test_a_folder_that_does_not_fit_is_refused(spoil, run, tmp_path):
    from safetensors.torch import load_file, save_file

    path = save_run(run, tmp_path / "vit", "hub", "vit") / "model.safetensors"
    weights = load_file(path)
    if spoil == "a tensor is gone":
        del weights["head.bias"]
    else:
        weights["head.bias" if spoil == "another shape" else "head.other"] = torch.zeros(3)
    save_file(weights, path)
    with pytest.raises(RuntimeError, match="head"):
        PretrainedStudent.from_pretrained(tmp_path / "vit")


@pytest.mark.parametrize("name, width", [("mit_pico", 64), ("mit_b0", 256), ("mit_b2", 32)])
def test_transformers_says_the_same_after_a_round_trip(name, width, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    student = vit_student(name, 5, width).eval()
    for module in student.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # not 0 and 1, which would hide a mix-up
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    to_transformers(student, list("abcde")).save_pretrained(tmp_path)
    theirs = transformers.SegformerForSemanticSegmentation.from_pretrained(tmp_path).eval()
    x = torch.randn(1, 3, 97, 130)
    with torch.no_grad():
        assert (theirs(x).logits - student(x).logits).abs().max() < 1e-5
    assert theirs.config.id2label[4] == "e"


@pytest.mark.parametrize("size", [(48, 64), (72, 96)])
def test_a_vit_takes_along_for_transformers_how_an_image_is_read(size, run, tmp_path):
    transformers = pytest.importorskip("transformers")
    assert (
        cli.main(["export", str(run), "--format", "transformers", "--out", str(tmp_path / "vit")])
        == 0
    )
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path / "vit")
    theirs = transformers.SegformerForSemanticSegmentation.from_pretrained(tmp_path / "vit").eval()
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    ours = pretrained_student(run, "vit")
    with torch.no_grad():
        logits = theirs(**processor(Image.fromarray(image), return_tensors="pt")).logits
        small = ours(
            as_read(torch.from_numpy(image).permute(2, 0, 1), ours.short_side)[None]
        ).logits
    assert (
        logits.shape == small.shape and (logits - small).abs().max() < 0.05
    )  # bytes are rounded once more there


def test_a_cnn_lives_on_in_segmentation_models_pytorch(tmp_path):
    smp = pytest.importorskip("segmentation_models_pytorch")
    config = tiny_config("alone", steps=2)
    students = dataclasses.replace(config.students, cnn_decoder="smp")
    run = train(dataclasses.replace(config, students=students), tmp_path / "run", progress=False)
    assert cli.main(["export", str(run), "--format", "smp", "--out", str(tmp_path / "cnn")]) == 0
    theirs, x = smp.from_pretrained(tmp_path / "cnn").eval(), torch.randn(2, 3, 64, 96)
    cnn, _, _ = load_students(run, 10)
    with torch.no_grad():
        wanted = torch.nn.functional.interpolate(
            cnn(x).logits, size=(64, 96), mode="bilinear", align_corners=True
        )
        assert (theirs(x) - wanted).abs().max() < 1e-4
    known = json.loads((tmp_path / "cnn" / "classes.json").read_text())
    assert known["classes"][0] == "sky" and known["short_side"] == 48 and len(known["mean"]) == 3


MISTAKES = {
    "a ViT for smp": (
        ["RUN", "--format", "smp", "--student", "vit", "--out", "OUT"],
        "needed: cnn",
    ),
    "a CNN of another form for smp": (
        ["RUN", "--format", "smp", "--out", "OUT"],
        "--cnn-decoder smp",
    ),
    "no run": (["nowhere"], "is no run"),
    "an unknown format": (["RUN", "--format", "tflite"], "tflite"),
    "a CNN for transformers": (
        ["RUN", "--format", "transformers", "--student", "cnn", "--out", "OUT"],
        "needed: vit",
    ),
    "an average for the hub": (
        ["RUN", "--format", "hub", "--student", "average", "--out", "OUT"],
        "average",
    ),
    "a folder without a name": (["RUN", "--format", "hub", "--student", "vit"], "--out DIR"),
    "the name of another format's file": (
        ["RUN", "--format", "torch", "--student", "cnn", "--out", "out.onnx"],
        "ends in .pt2",
    ),
    "a name without an ending": (["RUN", "--out", "OUT"], "ends in .onnx, or a folder"),
    "the name of the list of classes": (["RUN", "--out", "out.json"], "ends in .onnx"),
    "a folder that is full": (
        ["RUN", "--format", "hub", "--student", "vit", "--out", "RUN"],
        "not there yet",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name, run, tmp_path, capsys):
    arguments, needed = MISTAKES[name]
    arguments = [
        {"RUN": str(run), "OUT": str(tmp_path / "out")}.get(part, part) for part in arguments
    ]
    before = sorted(path.name for path in run.iterdir())
    assert cli.main(["export", *arguments]) == 2
    said = capsys.readouterr().err
    assert needed in said and said.count("\n") == 1
    assert sorted(path.name for path in run.iterdir()) == before and not (tmp_path / "out").exists()


def test_without_onnxscript_the_way_on_is_named(run, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr("collab_seg.use.export.export_program", lambda deployed: None)
    with pytest.raises(UserError, match="pip install onnx onnxscript"):
        export_run(run)


@pytest.mark.parametrize("name, output_stride", [("mobilenetv2_050", 8), ("test_resnet", 16)])
def test_smp_says_the_same_after_a_round_trip(name, output_stride, tmp_path):
    smp = pytest.importorskip("segmentation_models_pytorch")
    from collab_seg.students.cnn import cnn_student

    torch.manual_seed(0)
    ours = cnn_student(name, 7, output_stride, 24, (1, 2, 4), "smp").train()
    for norm in (part for part in ours.modules() if isinstance(part, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.weight, 1, 0.3), torch.nn.init.normal_(norm.bias, 0, 0.3)
    for _ in range(3):
        ours(torch.randn(2, 3, 64, 96))
    to_smp(ours.eval()).save_pretrained(tmp_path)
    theirs, x = smp.from_pretrained(tmp_path).eval(), torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        small = ours(x).logits
        large = torch.nn.functional.interpolate(
            small, (96, 64), mode="bilinear", align_corners=True
        )
        assert (to_smp(ours, upsampling=1)(x) - small).abs().max() < 1e-5
        assert (theirs(x) - large).abs().max() < 1e-5 and small.abs().max() > 0.1


def test_a_student_of_another_form_is_not_turned_into_smp():
    pytest.importorskip("segmentation_models_pytorch")
    from collab_seg.students.cnn import cnn_student
    from collab_seg.students.vit import vit_student

    for student in (
        cnn_student("test_resnet", 3),
        cnn_student("test_resnet", 3, rates=(1, 2), decoder="smp"),
        vit_student("mit_pico", 3),
    ):
        with pytest.raises(UserError, match="needed: one trained with --cnn-decoder smp"):
            to_smp(student)


def test_a_run_keeps_the_form_of_its_decoder(tmp_path):
    smp = pytest.importorskip("segmentation_models_pytorch")
    from collab_seg.training.loop import train

    config = tiny_config(steps=1)
    config = dataclasses.replace(
        config, students=dataclasses.replace(config.students, cnn_decoder="smp")
    )
    student = pretrained_student(train(config, tmp_path / "run", progress=False), "cnn")
    student.save_pretrained(tmp_path / "hub")
    back = PretrainedStudent.from_pretrained(tmp_path / "hub").eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(back(x).logits, student(x).logits)
        assert (to_smp(back, upsampling=1)(x) - student(x).logits).abs().max() < 1e-5
    assert isinstance(to_smp(back), smp.DeepLabV3Plus)
