"""Reliability without truth: what the estimates learn, what they must not touch, and how they are checked."""

import csv
import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from commands import together
from conftest import tiny_config
from torchmetrics.classification import BinaryAUROC

from collab_seg.core import IGNORE_INDEX, StudentOutput, UserError, resize_label
from collab_seg.data.scenes import Scenes
from collab_seg.data.sources import open_source
from collab_seg.data.views import normalize
from collab_seg.losses.base import on_one_grid
from collab_seg.losses.properties import random_pair
from collab_seg.losses.reliability import (
    RELIABILITIES,
    Reliability,
    add_reliability,
    better_auc,
    flipped_and_scaled,
)
from collab_seg.students.base import likeliest
from collab_seg.studies.advice import advice, advice_rows, advice_table, advised_gains, heard_peers
from collab_seg.studies.compare import scores
from collab_seg.studies.results import read_results
from collab_seg.training.evaluate import open_students
from collab_seg.training.loop import train
from collab_seg.use.cli import main
from collab_seg.use.commands_judge import _check_alike

NAMES = list(RELIABILITIES)


def made(name):
    return RELIABILITIES[name](5, 6)


def views_of(reliability, output):
    return [output] if reliability.needs_views else ()


def test_the_five_are_there():
    assert {"confidence", "entropy", "agreement", "prototypes", "error_head"} <= set(NAMES)


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_is_that_of_torchmetrics(ties):
    torch.manual_seed(0)
    says = torch.rand(2, 3, 40, 30)
    if ties:
        says = (says * 4).round() / 4
    is_ = torch.rand(2, 3, 40, 30)
    valid = torch.rand(3, 40, 30) > 0.3
    found = better_auc(*says, *is_, valid)
    score, positive = (says[1] - says[0])[valid].double(), (is_[0] < is_[1])[valid]
    score = (score + 1) / 2  # torchmetrics takes what lies outside 0..1 for logits
    assert abs(found - BinaryAUROC(thresholds=None)(score, positive.long()).item()) < 1e-6


def test_the_area_does_not_see_what_is_not_valid_and_counts_no_tie_of_the_truth():
    says, is_ = (
        torch.tensor([[0.1, 0.4, 9.0], [0.3, 0.2, 0.0]]),
        torch.tensor([[0, 1, 0], [1, 0, 1.0]]),
    )
    both = torch.tensor([True, True, False])
    assert better_auc(*says, *is_, both) == 1
    assert better_auc(*says[:, :2], *is_[:, :2], both[:2]) == 1
    equal = torch.tensor([[0, 1, 0.5], [1, 0, 0.5]])
    assert better_auc(*says, *equal, torch.ones(3).bool()) == 1
    assert math.isnan(better_auc(*says, *is_, torch.zeros(3).bool()))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_reaches_the_student_and_nothing_is_a_parameter(name):
    output, _, target = random_pair(dtype=torch.float32)
    reliability = made(name)
    reliability.observe(output, target)
    estimate = reliability(output, views_of(reliability, output))
    assert estimate.shape == target.shape and not estimate.requires_grad
    assert output.logits.grad is None and not list(reliability.parameters())
    assert all(not buffer.requires_grad for buffer in reliability.buffers())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("broken", ["void", "infinite", "nan"])
def test_a_batch_that_says_nothing_changes_nothing(name, broken):
    output, _, target = random_pair(dtype=torch.float32)
    reliability = made(name)
    for _ in range(3):
        reliability.observe(output, target)
    before = {key: value.clone() for key, value in reliability.state_dict().items()}
    if broken == "void":
        target = torch.full_like(target, IGNORE_INDEX)
    else:
        output = output._replace(logits=output.logits.detach() * float(broken[:3]))
    reliability.observe(output, target)
    for key, value in reliability.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_one_broken_pixel_spoils_no_other(name):
    output, _, target = random_pair(dtype=torch.float32, void=0)
    void = target.clone()
    void[0, 0, 0] = IGNORE_INDEX
    logits = output.logits.detach().clone()
    logits[0, :, 0, 0] = torch.nan
    one, two = made(name), made(name)
    one.observe(output._replace(logits=logits), target)
    two.observe(output, void)
    for key, value in one.state_dict().items():
        assert torch.allclose(value, two.state_dict()[key], atol=1e-6), key


@pytest.mark.parametrize("name", NAMES)
def test_large_logits_and_half_precision(name):
    output, _, target = random_pair(dtype=torch.float32)
    huge = StudentOutput(*(x.detach() for x in output))
    huge = huge._replace(logits=1e4 * huge.logits)
    reliability = made(name)
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(60):
            reliability.observe(huge, target)
        estimate = reliability(huge, views_of(reliability, huge))
    assert estimate.dtype == torch.float32 and estimate.isfinite().all()
    assert all(buffer.isfinite().all() for buffer in reliability.buffers())
    half = StudentOutput(*(x.detach().bfloat16() for x in output))
    reliability.observe(half, target)
    assert reliability(half, views_of(reliability, half)).dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_what_was_learnt_travels_with_the_state(name):
    output, other, target = random_pair(dtype=torch.float32, high=(6, 6))
    one, two = made(name), made(name)
    for _ in range(5):
        one.observe(output, target)
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(other, views_of(one, output)), two(other, views_of(two, output)))


@pytest.mark.parametrize("true", [0.5, 2.0, 4.0])
def test_the_temperature_is_found_within_fifty_batches(true):
    torch.manual_seed(0)
    honest = torch.randn(2, 4, 40, 50)
    label = torch.distributions.Categorical(logits=honest.movedim(1, -1)).sample()
    output = StudentOutput(honest, honest, true * honest)
    reliability = RELIABILITIES["confidence"](4, 4)
    for _ in range(50):
        reliability.observe(output, label)
    assert abs(reliability.log_temperature.exp().item() / true - 1) < 0.1


@pytest.mark.parametrize("name", ["prototypes", "error_head"])
def test_a_learnt_estimate_is_an_honest_probability(name):
    """Features that tell where the class that it names is wrong: 8 of 10 pixels there, 1 of 10 elsewhere."""
    torch.manual_seed(0)
    far = torch.rand(1, 60, 60) < 0.4
    label = torch.where(far, torch.rand(1, 60, 60) < 0.8, torch.rand(1, 60, 60) < 0.1).long()
    high = torch.where(far[:, None], torch.tensor([[[[-1.0]], [[1.0]]]]), 1.0)
    output = StudentOutput(
        high, high, torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 60, 60)
    )
    reliability = RELIABILITIES[name](2, 2)
    for _ in range(200):
        reliability.observe(output, label)
    estimate = reliability(output)
    assert abs(estimate[far].mean() - 0.8) < 0.1 and abs(estimate[~far].mean() - 0.1) < 0.1


def observe_a_share(rank, folder):
    """One of two processes: it observes its image of the batch, and writes down what was learnt."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    output, _, target = random_pair(dtype=torch.float32)
    share = slice(rank, rank + 1)
    for name in NAMES:
        reliability = made(name)
        for _ in range(3):
            reliability.observe(StudentOutput(*(x.detach()[share] for x in output)), target[share])
        torch.save(reliability.state_dict(), f"{folder}/{name}-{rank}.pt")
    torch.distributed.destroy_process_group()


def test_several_processes_learn_what_one_would(tmp_path):
    assert together(observe_a_share, [(0, tmp_path), (1, tmp_path)]) == [0, 0]
    output, _, target = random_pair(dtype=torch.float32)
    for name in NAMES:
        alone = made(name)
        for _ in range(3):
            alone.observe(output, target)
        one, two = (torch.load(tmp_path / f"{name}-{rank}.pt") for rank in (0, 1))
        for key, value in alone.state_dict().items():
            assert torch.equal(one[key], two[key]) and torch.allclose(one[key], value, atol=1e-5), (
                key
            )


def test_views_come_back_to_their_place():
    images = torch.rand(2, 3, 64, 96).cumsum(-1) / 96  # nothing looks the same after a flip

    def student(x):
        return StudentOutput(*(torch.nn.functional.avg_pool2d(x, side) for side in (2, 4, 4)))

    plain, views = student(images), flipped_and_scaled(student, images)
    for view in views:
        for part, own in zip(view, plain):
            assert part.shape == own.shape and (part - own).abs().max() < 0.1
    with pytest.raises(UserError, match="scale 1"):
        flipped_and_scaled(student, images, [(False, 0.5)])


def test_missing_views_and_wrong_labels_are_errors():
    output, _, target = random_pair(dtype=torch.float32)
    with pytest.raises(ValueError, match="flipped_and_scaled"):
        made("agreement")(output)
    with pytest.raises(ValueError, match="needed"):
        made("entropy").observe(output, target.float())
    with pytest.raises(ValueError, match="label has grid"):
        made("entropy").observe(output, target[:, ::2])
    with pytest.raises(ValueError, match="holds label 7"):
        made("entropy").observe(output, torch.full_like(target, 7))


def test_an_estimate_is_one_class(tiny_run):
    class Zero(Reliability):
        def estimate(self, logits, high, views):
            return torch.zeros_like(logits[:, 0])

    from collab_seg.studies.reliability import reliability_rows

    add_reliability("zero", Zero)
    try:
        rows = reliability_rows(tiny_run, "val/50", observed=1)
        areas = [row["auc"] for row in rows if row["reliability"] == "zero"]
        assert areas and all(area == 0.5 or math.isnan(area) for area in areas)
    finally:
        RELIABILITIES.pop("zero")


def test_no_image_that_a_run_has_learnt_from_judges(camvid):
    from collab_seg.data.base import image_paths
    from collab_seg.data.sources import get_source
    from collab_seg.studies.reliability import held_out

    source = get_source("camvid")
    every, few = (
        held_out(source, "train", "train/40", camvid),
        held_out(source, "held_out", "train/40", camvid),
    )
    assert len(every) == 367 - 10 and len(held_out(source, "val", "train", camvid)) == 101
    learnt = set(image_paths(source.load(camvid, "train"))[::40])
    for each in (every, few):
        paths = image_paths(each.dataset.rows)
        left = {paths[i] for i in each.indices}
        assert not left & learnt and len(left) == len(each)
    assert len(few) < len(every)
    with pytest.raises(UserError, match="every image"):
        held_out(source, "held_out", "train", camvid)


def test_the_command_adds_rows_and_says_what_is_wrong(tiny_run, tmp_path, capsys):
    from collab_seg.use.cli import main

    table = tmp_path / "table.csv"
    flags = ["--split", "val/50", "--observed", "1", "--csv", str(table)]
    assert main(["reliability", str(tiny_run), str(tiny_run), *flags]) == 0  # one run counts once
    rows = list(csv.DictReader(table.open()))
    assert len(rows) == len(NAMES) * 11 and rows[0]["class"] == "all"
    assert main(["reliability", str(tiny_run), *flags]) == 2
    assert "has rows of" in capsys.readouterr().err
    flags[-1] = str(tmp_path / "again.csv")
    assert main(["reliability", str(tiny_run), *flags]) == 0
    assert list(csv.DictReader(open(flags[-1]))) == rows  # the same figures again
    assert "agreement" in capsys.readouterr().out
    alike = [{"run": "one", "data": "camvid", "learnt": "train", "images": 3}]
    with pytest.raises(UserError, match="two has images 4, and one 3"):
        _check_alike("two", [alike[0] | {"images": 4}], alike)
    for wrong, said in (([str(tmp_path)], "no run"), ([str(tiny_run), "--observed", "-1"], "observed"),
                        ([str(tiny_run)], "every image"), ([], "no run")):  # fmt: skip
        assert main(["reliability", *wrong]) == 2
        assert said in capsys.readouterr().err


def test_a_run_whose_data_has_changed_is_refused(tiny_run, tmp_path):
    import json
    import shutil

    from collab_seg.studies.reliability import reliability_rows
    from collab_seg.training.run import Run

    copy = Run(shutil.copytree(tiny_run, tmp_path / "run"))
    state = json.loads(copy.data_file.read_text())
    copy.data_file.write_text(json.dumps(state | {"names_sha256": "0"}))
    with pytest.raises(UserError, match="changed"):
        reliability_rows(copy.folder, "val/50")


# ------------------------------------------------------------------------------ advise


@pytest.fixture(scope="module")
def ten_labels(tmp_path_factory):
    """A run that learnt from ten of all images."""
    config = tiny_config(steps=2, labelled="10")
    return train(config, tmp_path_factory.mktemp("advise") / "ten", progress=False)


def test_advise_counts_what_each_word_would_mend_and_spoil(ten_labels, tmp_path, capsys):
    """The counts of the command against a loop over pixels."""
    table = tmp_path / "advice.csv"
    assert main(["advise", str(ten_labels), "--split", "val/25", "--csv", str(table)]) == 0
    said, note = capsys.readouterr()
    assert "The CNN" in said and "The ViT" in said and "With labels alone" in said
    assert note.count("note: the students of ten were trained with collab") == 1
    rows = {(r["kind"], r["student"], r["says"]): r for r in csv.DictReader(open(table))}
    assert len(rows) == 2 * 2 * 3
    cnn, vit, source, config = open_students(ten_labels)
    scenes = Scenes(open_source(config.data), "val/25", None, config.data.read_size)
    mends = spoils = known = 0
    for image, label in scenes:
        outputs = on_one_grid(*(s.eval()(normalize(image)[None]) for s in (cnn, vit)))
        small = resize_label(label, outputs[0].logits.shape[-2:])
        own, peer = (likeliest(output.logits)[0] for output in outputs)
        for a, b, truth in zip(*(x.flatten().tolist() for x in (own, peer, small))):
            known += truth != IGNORE_INDEX
            mends += a != truth and b == truth and truth != IGNORE_INDEX
            spoils += a == truth and b != truth
    found = rows["new", "cnn", "peer"]
    assert abs(float(found["mends"]) - 100 * mends / known) < 0.002
    assert abs(float(found["spoils"]) - 100 * spoils / known) < 0.002
    mirrored = rows["new", "vit", "peer"]
    assert found["mends"] == mirrored["spoils"] and found["spoils"] == mirrored["mends"]


def test_advise_knows_which_images_had_a_label(ten_labels):
    """The run is judged by the images that it has no label of, whatever names them."""
    rows = advice_rows(ten_labels, "train/50")
    images = {kind: {r["images"] for r in rows if r["kind"] == kind} for kind in ("new", "learnt")}
    assert images == {"learnt": {10}, "new": {6}}  # of 0, 50, ... all but 0 and 200


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "no run is given"),
        (["FOLDER"], "no run"),
        (["RUN", "--reliability", "coin"], "agreement"),
        (["RUN"], "needed: a split with others"),  # it has learnt from every image of train
    ],
)
def test_advise_says_what_is_wrong(arguments, said, tiny_run, tmp_path, capsys):
    places = {"RUN": str(tiny_run), "FOLDER": str(tmp_path)}
    assert main(["advise", *(places.get(each, each) for each in arguments)]) == 2
    assert said in capsys.readouterr().err


RESULTS = Path(__file__).parent.parent / "results" / "studies"


@pytest.mark.parametrize(
    "study, table, words",
    [
        ("few_camvid", "advice", "pair peer reliable"),
        ("few_facade", "advice", "pair peer reliable"),
        ("few_camvid_23", "advice_more_labels", "pair"),
        ("few_facade_100", "advice_more_labels", "pair"),
    ],
)
def test_the_advice_says_which_of_two_students_gains_more(study, table, words):
    """Whatever the word, the student with the larger share was the one that gained more, or lost less."""
    advised = pd.read_csv(RESULTS / f"{table}.csv")
    found = advised_gains(advised, read_results(RESULTS / f"{study}.csv"))
    assert sorted(found.says.unique()) == words.split() and found.seeds.min() >= 3
    for says, both in found.groupby("says"):
        cnn, vit = both.set_index("student").loc[["cnn", "vit"]].itertuples()
        assert (cnn.share > vit.share) == (cnn.gain > vit.gain), says


def test_the_advice_that_was_taken_brought_a_gain():
    """Only the student with a share above 0 was taught, and it gained in every seed; the other stayed as it was."""
    table = scores(read_results(RESULTS / "few_advised.csv"))
    gains = (table.loc["peer_mean_to_vit"] - table.loc["alone"]).dropna()
    shares = pd.read_csv(RESULTS / "advice.csv").query(
        "data == 'camvid' and labels == 10 and kind == 'new' and says == 'peer'"
    )
    share = shares.groupby("student").share_by_class.mean()
    assert share["vit"] > 0 > share["cnn"]
    counted = pd.read_csv(RESULTS / "advice.csv").query("data == 'camvid' and labels == 10")
    says = advice(advice_table(counted.to_dict("records")))
    assert "little to learn" in says[0] and "--method peer_mean --unlabelled-to vit" in says[1]
    assert len(gains) == 5 and (gains.vit > 0).all() and (gains.cnn == 0).all()


def test_the_advice_orders_the_studies():
    """The small CNN: what its peer could tell it, and what it gained; CamVid beside DINOv2-S only among CamVid's own."""
    heard = heard_peers(RESULTS)
    found = heard[heard.student == "cnn"]
    assert found.study.tolist() == [
        "few_camvid",
        "few_facade",
        "beside_dinov2",
        "beside_dinov2_camvid",
    ]
    for rows in (found[:3], found[found.study.str.contains("camvid")]):
        assert rows.share.is_monotonic_increasing and rows.gain.is_monotonic_increasing
    assert (found.share > 0).tolist() == (found.gain > 0).tolist() == [False, True, True, True]
