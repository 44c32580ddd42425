"""Images without labels: the losses' properties, and that a run with them can be stopped, shared and repeated."""

import dataclasses
import warnings
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from commands import run_command, two_processes
from conftest import tiny_config
from test_processes import TINY

from collab_seg.config import DistillConfig
from collab_seg.core import IGNORE_INDEX, UserError
from collab_seg.data.sources import get_source
from collab_seg.losses.methods import METHODS, TERMS
from collab_seg.losses.properties import check_loss, disturb_void, random_pair
from collab_seg.losses.unlabelled import WORDS, Barred, Guessed, PseudoLoss
from collab_seg.students.build import build_students
from collab_seg.training.data import make_batches, make_unlabelled
from collab_seg.training.device import make_accelerator
from collab_seg.training.loop import train
from collab_seg.training.optim import make_optimizer
from collab_seg.training.step import make_pair, train_step

NEW = [name for name, method in METHODS.items() if method.unlabelled]
TOY = get_source("toyscapes")


def config_of(method, steps=3, optim=(), **distill):
    """A tiny run with 40 labelled images of ToyScapes' 200, the others without."""
    config = tiny_config(method, steps=steps, split="train/5", unlabelled_split="train")
    return dataclasses.replace(
        config,
        distill=DistillConfig(method=method, ramp=0.0, **distill),
        optim=dataclasses.replace(config.optim, **{"batch_size": 4, **dict(optim)}),
    )


# the losses


def kl(p, q):
    return float((p * (p.log() - q.log())).sum())


def per_pixel(distance):
    """The reference of check_loss: a mean over the labelled pixels, by a slow loop."""

    def reference(own, peer, label, mask):
        places = (label != IGNORE_INDEX).nonzero().tolist()
        pairs = [(peer.logits[b, :, y, x], own.logits[b, :, y, x]) for b, y, x in places]
        return sum(distance(p.softmax(0), q.softmax(0)) for p, q in pairs) / len(pairs)

    return reference


def test_soft_targets_of_the_peer_have_the_common_properties():
    assert check_loss(lambda low, high: PseudoLoss("peer"), per_pixel(kl), symmetric=True)


def test_hard_targets_of_the_peer_have_the_common_properties():
    reference = per_pixel(lambda p, q: float(-q[p.argmax()].log()))
    assert check_loss(lambda low, high: PseudoLoss("peer", "hard"), reference, False, True)


def test_dice_has_the_common_properties():
    def reference(own, peer, label, mask):
        known = (label != IGNORE_INDEX)[:, None]
        there = own.logits.softmax(1) * known
        said = torch.nn.functional.one_hot(peer.logits.argmax(1), there.shape[1])
        said = said.permute(0, 3, 1, 2) * known
        dice = 0.0
        for k in range(there.shape[1]):
            area = there[:, k].square().sum() + said[:, k].sum()
            dice += float((2 * (there[:, k] * said[:, k]).sum() + 1e-5) / (area + 1e-5))
        return 1 - dice / there.shape[1]

    assert check_loss(lambda low, high: PseudoLoss("peer", "dice"), reference, False, True)


@pytest.mark.parametrize("targets", ["soft", "hard", "dice"])
@pytest.mark.parametrize("says", WORDS)
def test_padding_changes_nothing_and_no_gradient_reaches_a_teacher(says, targets):
    cnn, vit, label = random_pair(void=0.3)
    inside = torch.where(label == IGNORE_INDEX, IGNORE_INDEX, 0)
    teachers = [s.logits for s in random_pair(seed=1)[:2]]

    def given(*students, teachers=teachers):
        torch.manual_seed(0)
        chances = [teacher.softmax(1) for teacher in teachers]
        both = Guessed(*students, inside, chances)
        return PseudoLoss(says, targets, confidence=0.3).directed(both)

    was = given(cnn, vit)
    there = (inside == IGNORE_INDEX)[:, None]
    moved = [torch.where(there, x + 9 * torch.randn_like(x), x) for x in teachers]
    now = given(disturb_void(cnn, label), disturb_void(vit, label), teachers=moved)
    assert abs(was.to_cnn - now.to_cnn) < 1e-9 and abs(was.to_vit - now.to_vit) < 1e-9
    grads = torch.autograd.grad(was.to_cnn + was.to_vit, teachers, allow_unused=True)
    assert grads == (None, None)
    grads = torch.autograd.grad(given(cnn, vit).to_cnn, vit.logits, allow_unused=True)
    assert grads == (None,)  # nor does the CNN's loss reach the ViT


@pytest.mark.parametrize("targets", ["soft", "hard", "dice"])
def test_below_the_bar_nothing_moves(targets):
    cnn, vit, label = random_pair()
    both = Guessed(cnn, vit, label * 0, [s.logits.softmax(1) for s in (cnn, vit)])
    result = PseudoLoss("pair", targets, confidence=1.0).directed(both)
    assert result.to_cnn == 0 == result.to_vit
    (grad,) = torch.autograd.grad(result.to_cnn, cnn.logits)
    assert (grad == 0).all()


def test_class_weights_count_rare_classes_more():
    cnn, vit, label = random_pair(void=0.0)
    chances = [s.logits.softmax(1) for s in random_pair(seed=1)[:2]]
    weights = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    both = Guessed(cnn, vit, label * 0, chances, weights=weights)
    found = PseudoLoss("own", "hard").directed(both).to_cnn
    named = chances[0].argmax(1) == 1
    wanted = -cnn.logits.log_softmax(1)[:, 1][named].mean()
    assert abs(found - wanted) < 1e-9


def test_random_choice_has_the_rate_of_the_choice():
    cnn, vit, label = random_pair(void=0.0)
    one, two = (torch.full_like(s.logits, value) for s, value in ((cnn, 1.0), (vit, 0.0)))
    doubts = torch.rand(2, *label.shape).unbind()
    both = Guessed(cnn, vit, label * 0, (one, two), doubts)
    chosen, mixed = (WORDS[word](*both.chances, both)[0][:, 0] for word in ("reliable", "random"))
    assert chosen.sum() == mixed.sum() and not torch.equal(chosen, mixed)


@pytest.mark.parametrize("wrong", [dict(says="them"), dict(says="own", confidence=1.5),
                                   dict(says="own", view="odd")])  # fmt: skip
def test_a_loss_of_wrong_settings_is_refused(wrong):
    with pytest.raises(UserError, match="known|needed"):
        PseudoLoss(**wrong)


# a step


def one_step(config, unlabelled=True, students=None):
    """The row of a step, and the pair after it."""
    students = students or build_students(config.students, len(TOY.classes), seed=0)
    pair = make_pair(config, *students)
    batch = next(iter(make_batches(config, TOY, 0)))
    more = next(iter(make_unlabelled(config, TOY, 0))) if unlabelled else None
    optimizer = make_optimizer(pair, config.optim)
    row = train_step(pair.train(), optimizer, make_accelerator(config.optim), *batch, config, 2, more)  # fmt: skip
    return row, pair


def test_labelled_samples_are_the_same_with_and_without():
    batches = {}
    for method in ("alone", "own_mean"):
        config = config_of(method, steps=25)  # more than an epoch of 40 images
        batches[method] = list(make_batches(config, TOY, 0))
        assert (make_unlabelled(config, TOY, 0) is None) == (method == "alone")
    for one, two in zip(*batches.values()):
        assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])


@pytest.mark.parametrize("method", NEW)
def test_every_method_takes_a_step_in_which_no_teacher_moves_by_gradient(method):
    config = config_of(method)
    row, pair = one_step(config)
    terms = METHODS[method].unlabelled
    assert row["skipped"] == 0
    assert {f"unlabelled/{term}_to_{way}" for term in terms for way in ("cnn", "vit")} <= set(row)
    assert all(0 <= row[f"unlabelled/classes_apart_to_{way}"] <= 1 for way in ("cnn", "vit"))
    slow = pair.guesser.slow
    assert (slow is not None) == (method not in ("ctct", "cps", "own"))
    if slow is not None:  # after the first update the mean is what the students were before
        first = build_students(config.students, len(TOY.classes), seed=0)
        for teacher, was in zip(slow.module, first):
            for p, q in zip(teacher.parameters(), was.parameters()):
                assert torch.equal(p, q) and p.grad is None


@pytest.mark.parametrize("settings", [
    dict(targets="hard", threshold="class", confidence=0.5), dict(pseudo_balance=True),
    dict(unlabelled_features=False), dict(weighting="learnt"), dict(own_views=True),
    dict(unlabelled_features=False, weighting="balanced"), dict(teacher="peer_mean"),
])  # fmt: skip
def test_settings_that_change_a_step(settings):
    row, pair = one_step(config_of("selective", **settings))
    assert row["skipped"] == 0
    features = "unlabelled/hfd_to_cnn" in row
    assert features == settings.get("unlabelled_features", True)
    if settings.get("threshold") == "class":
        assert pair.losses["selective"].sure.shape == (2, len(TOY.classes))


def test_a_bar_by_class_does_not_see_padding():
    """What a teacher says where a crop is padded moves neither the bar nor the loss."""
    one, two, label = random_pair(void=0.3)
    inside = torch.where(label == IGNORE_INDEX, IGNORE_INDEX, 0)
    found = []
    for fill in (0.0, 50.0):
        loss, said = PseudoLoss("peer", confidence=0.5, classes=one.logits.shape[1]), []
        for output in random_pair(seed=1)[:2]:
            padded = (label == IGNORE_INDEX)[:, None].expand_as(output.logits).clone()
            padded[:, 1:] = False  # surer and surer of class 0
            said.append(torch.where(padded, fill, output.logits).softmax(1))
        both = Guessed(one, two, inside, said)
        found.append(
            [loss.directed(both).to_cnn.item() for _ in range(50)] + loss.sure.flatten().tolist()
        )
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_a_class_that_nobody_names_moves_no_bar_and_a_rare_one_has_its_own():
    """Never named, it stood as the surest class, and the bars of all others fell."""
    loss = Barred(0.9, classes=4)
    sure, unsure = (torch.full((1, 4, 1, 1), (1 - p) / 3) for p in (0.8, 0.5))
    sure[:, 0], unsure[:, 2] = 0.8, 0.5
    for step in range(100):
        bar = loss.bar(sure, torch.ones(1, 1, 1, dtype=torch.bool))
        if step % 20 == 0:
            low = loss.bar(unsure, torch.ones(1, 1, 1, dtype=torch.bool))
    assert bar.item() == pytest.approx(0.9) and low.item() == pytest.approx(0.9 * 0.5 / 0.8)
    with pytest.raises(UserError, match="the bar is 0 for all"):
        Barred(0.0, classes=4)


def test_the_total_is_the_sum_of_weighted_terms():
    config = config_of("selective", peer_weight=3.0, hfd_weight=0.25)
    row, _ = one_step(config)
    weight = {"hfd": 0.25, "region": 0.5, "pixel": 1.0, "selective": 3.0}
    total = row["ce_cnn"] + row["ce_vit"]
    for name in (name for name in row if "_to_" in name and "share" not in name):
        term = name.rpartition("_to_")[0].rpartition("/")[2]
        total += weight.get(term, 0.0) * row[name]
    assert abs(total - row["total"]) < 1e-4


def test_published_ramps():
    assert TERMS["cps"].grow(0.0) == 1.0 == TERMS["ctct"].grow(1.0)
    assert abs(TERMS["ctct"].grow(0.0) - 0.0067) < 1e-4 and TERMS["mean_pair"].grow is None


@pytest.mark.parametrize("method", ["mean_pair", "cps", "selective"])
def test_a_step_in_parts_is_the_same_step(method):
    rows, weights = [], []
    for parts in (1, 2, 4):
        config = config_of(method, optim=dict(accumulate=parts))
        students = build_students(config.students, len(TOY.classes), seed=5)
        pair = make_pair(config, *students).eval()  # norms use running statistics
        batch = next(iter(make_batches(config, TOY, 0)))
        more = next(iter(make_unlabelled(config, TOY, 0)))
        plain = torch.optim.SGD([p for p in pair.parameters() if p.requires_grad], lr=0.1)
        accelerator = make_accelerator(config.optim)
        rows.append(train_step(pair, plain, accelerator, *batch, config, 2, more))
        weights.append(torch.cat([p.detach().flatten() for p in pair.parameters()]))
    assert all(abs(row["total"] - rows[0]["total"]) < 1e-4 for row in rows)
    assert all((one - weights[0]).abs().max() < 1e-4 for one in weights)


@pytest.mark.parametrize("place, name", [("vit", "mobilenetv2_050"), ("cnn", "mit_pico")])
def test_two_students_of_one_kind(place, name, tmp_path):
    config = config_of("mean_pair")
    students = dataclasses.replace(config.students, **{place: name})
    run = train(dataclasses.replace(config, students=students), tmp_path / "run", progress=False)
    assert len(pd.read_csv(run / "metrics.csv")) == 3


# a run


@pytest.mark.parametrize("method", ["own_mean", "cps", "selective"])
def test_a_run_that_was_stopped_ends_with_the_same_bytes(method, tmp_path):
    config = config_of(method, steps=4, threshold="class", confidence=0.5)
    whole = train(config, tmp_path / "whole", progress=False, save_every=2)
    with pytest.raises(KeyboardInterrupt):
        interrupted(config, tmp_path / "pieces")
    pieces = train(config, tmp_path / "pieces", resume=True, progress=False, save_every=2)
    for name in ("metrics.csv", "pseudo_labels.csv", "cnn.safetensors", "vit.safetensors"):
        assert (whole / name).read_bytes() == (pieces / name).read_bytes(), name


def interrupted(config, out):
    """Train, and die in the fourth step, after a checkpoint at the second."""
    from collab_seg.training import loop

    step, seen = loop.train_step, []

    def dying(*arguments):
        seen.append(1)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return step(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", dying)
        train(config, out, progress=False, save_every=2)


def test_a_run_says_which_classes_are_named(tmp_path):
    run = train(config_of("peer_mean", steps=4), tmp_path / "run", progress=False, save_every=2)
    rows = pd.read_csv(run / "pseudo_labels.csv")
    assert list(rows.columns) == ["step", "of", "class", "share"] and set(rows.step) == {2, 4}
    sums = rows.groupby(["step", "of"]).share.sum()
    assert len(sums) == 6 and ((sums - 1).abs() < 1e-3).all()


def test_a_collapse_is_said_once(tmp_path, monkeypatch):
    from collab_seg.training import unlabelled

    monkeypatch.setattr(unlabelled, "APART", -1.0)  # any distance is too far
    config = config_of("own", steps=53, optim=dict(batch_size=2), confidence=0.0)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        train(config, tmp_path / "run", progress=False)
    said = [str(one.message) for one in heard if "pseudo-labels" in str(one.message)]
    assert len(said) == 1 and "at step 50" in said[0] and "needed:" in said[0]


def test_no_unlabelled_images_is_one_mistake(tmp_path):
    with pytest.raises(UserError, match="--unlabelled-split train"):
        train(tiny_config("own_mean"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["ctct", "mean_pair"])
def test_two_processes_learn_from_pseudo_labels_as_one_does(method, tmp_path):
    arguments = ["--steps", "6", "--batch-size", "4", "--lr", "5e-5", "--split", "train/5",
                 "--unlabelled-split", "train", "--method", method, "--ramp", "0"]  # fmt: skip
    rows = []
    for processes in (run_command, two_processes):
        run = tmp_path / processes.__name__
        done = processes("train", *TINY, *arguments, "--out", run, frozen=True)
        assert (run / "summary.json").exists(), done
        rows.append(pd.read_csv(run / "metrics.csv"))
    for name in ("ce_cnn", "ce_vit", f"unlabelled/{method}_to_cnn", f"unlabelled/{method}_to_vit"):
        assert (rows[0][name] - rows[1][name]).abs().max() < 1e-3, name


def test_a_batch_without_labels_that_cannot_be_shared(tmp_path):
    accelerator = SimpleNamespace(num_processes=2)
    from collab_seg.training.device import _check_processes

    config = config_of("own_mean", optim=dict(unlabelled_batch=3))
    with pytest.raises(UserError, match="unlabelled_batch is 3 for 2 processes"):
        _check_processes(config.optim, accelerator.num_processes)


@pytest.mark.parametrize("says", [name for name in WORDS if name != "random"])
def test_a_loop_over_pixels_agrees(says):
    """The soft loss, pixel by pixel, for every word that draws no random numbers."""
    one, two, label = random_pair(void=0.3)
    inside = torch.where(label == IGNORE_INDEX, IGNORE_INDEX, 0)
    teachers = [output.logits.softmax(1) for output in random_pair(seed=1)[:2]]
    both = Guessed(one, two, inside, teachers)
    result = PseudoLoss(says, confidence=0.4).directed(both)
    target, found, count = WORDS[says](*both.chances, both)[0], 0.0, 0
    for b, y, x in (inside != IGNORE_INDEX).nonzero().tolist():
        p, q = target[b, :, y, x], one.logits[b, :, y, x].log_softmax(0)
        count += 1
        found += sum(p[k] * (p[k].log() - q[k]) for k in range(len(p))) if p.max() >= 0.4 else 0
    assert abs(result.to_cnn - found / count) < 1e-9


def quiet_step(config):
    """The row of a step without dropout, which would draw other numbers for the second student."""
    students = build_students(config.students, len(TOY.classes), seed=0)
    for student in students:
        student.dropout.p = 0.0
    return one_step(config, students=students)[0]


@pytest.mark.parametrize("way, other", [("cnn", "vit"), ("vit", "cnn")])
def test_one_student_alone_learns_from_images_without_labels(way, other):
    """It learns just what it would beside a peer that learns too; the peer learns nothing there."""
    one, both = (quiet_step(config_of("peer_mean", unlabelled_to=to)) for to in (way, "both"))
    for name in (f"ce_{way}", f"unlabelled/peer_mean_to_{way}"):
        assert one[name] == both[name] > 0
    assert one[f"unlabelled/peer_mean_to_{other}"] == 0 < both[f"unlabelled/peer_mean_to_{other}"]


@pytest.mark.parametrize(
    "method, optim, said",
    [("selective", {}, "--no-unlabelled-features"), ("peer_mean", {"accumulate": 2}, "accumulate")],
)
def test_one_learner_is_refused_where_both_are_needed(method, optim, said):
    with pytest.raises(UserError, match=said):
        one_step(config_of(method, optim=optim, unlabelled_to="cnn"))
