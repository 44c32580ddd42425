"""What assignment 12 is checked for, and the small experiment in which your gate is measured."""

import os
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import collab_seg
from checking import NOT_DONE, need, need_close, need_pair, need_tensor, random_label, random_logits, show_teachers
from collab_seg.data.toy_paint import CLASSES
from collab_seg.data.toyscapes import render
from collab_seg.losses.pixel import pixel_directions, soft_kl
from collab_seg.studies.compare import paired_test
from collab_seg.core import UserError
from collab_seg.core import resize_label
from collab_seg.data.reading import resize_image
from collab_seg.data.views import normalize
from collab_seg.losses.base import masked_mean
from collab_seg.training.metrics import Confusion
from collab_seg.training.run import load_students

CLASSES = len(CLASSES)
FIT, MEASURE, STEPS, SEEDS = 16, 16, 120, range(5)
T95 = {
    2: 12.706,
    3: 4.303,
    4: 3.182,
    5: 2.776,
    6: 2.571,
    7: 2.447,
    8: 2.365,
    9: 2.306,
    10: 2.262,
}  # by number of seeds


# The experiment ------------------------------------------------------------------------------------------------------
def baseline(cnn_logits, vit_logits, label):
    """The gate of pixel BSD: the student with the lower cross-entropy teaches."""
    maps = pixel_directions(cnn_logits, vit_logits, label)
    return maps["to_cnn"], maps["to_vit"]


def nobody(cnn_logits, vit_logits, label):
    """A control: nothing is taught."""
    nowhere = torch.zeros_like(label, dtype=torch.bool)
    return nowhere, nowhere


def seen(scenes):
    """What the kit's small trained pair says of computed street scenes, and the labels on the same grid."""
    pair = Path(collab_seg.__file__).parents[1] / "nbs/assets/toy_pair"
    if not pair.is_dir():
        raise UserError(
            f"there is no {pair}; needed: the trained pair of the kit's repository; install collab_seg from a clone, "
            "with `pip install --editable .`"
        )
    cnn, vit, config = load_students(pair, CLASSES)
    scenes = [render(index, 1) for index in scenes]  # town 1: the pair was trained on town 0
    images = torch.stack(
        [normalize(resize_image(torch.from_numpy(x).permute(2, 0, 1), config.data.size)) for x, _ in scenes]
    )
    with torch.no_grad():
        said = [[student(part) for part in images.split(8)] for student in (cnn, vit)]
    size = said[0][0].logits.shape[-2:]
    label = torch.stack([resize_label(torch.from_numpy(y).long(), size) for _, y in scenes])
    return *said, label


@lru_cache
def features():
    """The last feature maps of the trained pair for all scenes, and their labels."""
    *said, label = seen(range(FIT + MEASURE))
    return *(torch.cat([part.high for part in parts]) for parts in said), label


@lru_cache(maxsize=None)
def measure(gate, seed: int) -> float:
    """Train the pair's two classifiers anew, with pixel BSD behind this gate; mean mIoU of both, in percent."""
    cnn, vit, label = features()
    torch.manual_seed(seed)
    heads = [nn.Conv2d(x.shape[1], CLASSES, 1) for x in (cnn, vit)]
    optimizer = torch.optim.Adam([p for head in heads for p in head.parameters()], lr=1e-2)
    for _ in range(STEPS):
        batch = torch.randint(0, FIT, (4,))
        a, b, y = heads[0](cnn[batch]), heads[1](vit[batch]), label[batch]
        to_cnn, to_vit = gate(a.detach(), b.detach(), y)
        task = sum(F.cross_entropy(z, y, ignore_index=255) for z in (a, b))
        loss = task + masked_mean(soft_kl(a, b), to_cnn) + masked_mean(soft_kl(b, a), to_vit)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mious = []
    with torch.no_grad():
        for head, x in zip(heads, (cnn, vit)):
            confusion = Confusion(CLASSES)
            confusion.update(head(x[FIT:]).argmax(1), label[FIT:])
            mious.append(100 * confusion.score().miou)
    return sum(mious) / 2


def report(gate, paired_differences, interval, verdict) -> None:
    """Measure the new gate and the baseline on the same seeds, and print what your functions make of it."""
    if os.environ.get("NBGRADER_EXECUTION"):
        return print("not measured while grading")
    if gate(*made_up(0)) is None:
        return print(NOT_DONE)
    print("mean mIoU of both students, percent\nseed   baseline   new gate   no teaching")
    for seed in SEEDS:
        print(f"{seed:>4}{measure(baseline, seed):11.2f}{measure(gate, seed):11.2f}{measure(nobody, seed):14.2f}")
    differences = paired_differences(measure, gate, baseline, SEEDS)
    spread = None if differences is None else interval(differences)
    said = None if spread is None else verdict(*spread)
    print(NOT_DONE if said is None else f"new - baseline: {spread[0]:+.2f} ± {spread[1]:.2f}: {said}")


# The checks ----------------------------------------------------------------------------------------------------------
def made_up(seed):
    """Logits of two students, both better than chance, and labels with void."""
    label = random_label(seed, CLASSES, 2, 12, 16)
    right = 3.0 * F.one_hot(label, CLASSES).movedim(-1, 1)
    logits = [random_logits(seed + shift, 2, CLASSES, 12, 16) + right for shift in (0, 1)]
    label[:, 3:6, ::2] = 255
    return *logits, label


def valid(gate, seed=0):
    cnn, vit, label = made_up(seed)
    masks = gate(cnn, vit, label)
    need_pair(masks, "to_cnn and to_vit")
    for name, mask in zip(("to_cnn", "to_vit"), masks):
        need_tensor(mask, label.shape, f"your {name}")
        need(mask.dtype == torch.bool, f"your {name} holds {mask.dtype}; needed: torch.bool")
        moved = int(mask[label == 255].sum())
        need(moved == 0, f"your {name} is True at {moved} void pixels (label 255); needed: nowhere")
    both = int((masks[0] & masks[1]).sum())
    need(both == 0, f"at {both} pixels both students learn from each other; needed: one direction a pixel")


def new(gate, seed=0):
    cnn, vit, label = made_up(seed)
    masks, known = gate(cnn, vit, label), label != 255
    need_pair(masks, "to_cnn and to_vit")
    old = baseline(cnn, vit, label)
    other = ((masks[0] != old[0]) | (masks[1] != old[1]))[known].double().mean().item()
    need(
        other >= 0.05,
        f"your gate differs from the baseline at {other:.1%} of the labelled pixels; needed: 5% or more",
    )
    for name, mask in zip(("to_cnn", "to_vit"), masks):
        share = mask[known].double().mean().item()
        need(
            share >= 0.01,
            f"your {name} is True at {share:.1%} of the labelled pixels; needed: 1% or more, or nothing is taught",
        )


def paired(paired_differences, seed=0):
    asked = []

    def pretended(gate, number):
        asked.append((gate, number))
        return 50.0 + 7 * number + (number % 3 + seed if gate == "new" else 0)

    seeds = list(range(3 + seed))
    got = paired_differences(pretended, "new", "old", seeds)
    wanted = torch.tensor([float(number % 3 + seed) for number in seeds])
    old, now = ({number for name, number in asked if name == which} for which in ("old", "new"))
    need(
        old == now,
        f"the old gate was measured with seeds {sorted(old)}, the new one with {sorted(now)}; needed: the same seeds",
    )
    need_close(torch.as_tensor(got), wanted, "a difference, new minus old at the same seed, is wrong")


def ninety_five(interval, seed=0):
    differences = random_logits(seed, 3 + seed)
    got = interval(differences)
    need_pair(got, "mean and half")
    mean, half = (float(x) for x in got)
    test = paired_test(differences.tolist())
    need(abs(mean - test.mean) < 1e-6, f"your mean is {mean:.4f}; needed: {test.mean:.4f}")
    wanted = (test.high - test.low) / 2
    need(
        abs(half / wanted - 1) < 2e-3,
        f"for {len(differences)} differences your half width is {half:.3f}; needed: {wanted:.3f}, which is "
        "T95[n] times the standard deviation (with n - 1) divided by the square root of n",
    )


def claim(verdict, seed=0):
    unclear = "cannot tell"
    for mean, half, wanted in (
        (1 + seed, 0.5, "better"),
        (-1 - seed, 0.5, "worse"),
        (0.4, 0.5 + seed, unclear),
        (-0.4, 0.5, unclear),
    ):
        got = verdict(mean, half)
        need(got == wanted, f"for {mean:+g} ± {half:g} you say {got!r}; needed: {wanted!r}")


# The picture ---------------------------------------------------------------------------------------------------------
def picture(gate):
    """Who teaches where in one street: by pixel BSD, and by your gate."""
    import matplotlib.pyplot as plt

    (cnn,), (vit,), label = seen([FIT])
    figure, axes = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    masks = {}
    for name, rule in {"pixel BSD": baseline, "your gate": gate}.items():
        got = rule(cnn.logits, vit.logits, label)
        need_pair(got, "to_cnn and to_vit")
        masks[name] = (*got, label != 255)
    show_teachers(axes, masks)
    return figure
