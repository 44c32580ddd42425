"""What assignment 13 is checked for; each check takes your function and raises Wrong with one line."""

import torch
import torch.nn.functional as F

from checking import need, need_tensor, random_label, random_logits, show_teachers
from collab_seg.losses.reliability import better_auc

CLASSES, SIZE = 5, (4, 24, 32)


# The made-up streets -------------------------------------------------------------------------------------------------
def student(seed, label):
    """One student: its logits, those of the mirrored images (as they come, mirrored), and where it is right."""
    random = torch.Generator().manual_seed(seed + 500)
    blocks = torch.rand(len(label), 1, SIZE[1] // 4, SIZE[2] // 4, generator=random) < 0.7
    knows = F.interpolate(blocks.float(), SIZE[1:])[:, 0] > 0  # by blocks of 4x4 pixels, as streets are
    other = (label + random_label(seed + 7, CLASSES - 1, *SIZE) + 1) % CLASSES
    again = (label + random_label(seed + 8, CLASSES - 1, *SIZE) + 1) % CLASSES
    stays = torch.rand(SIZE, generator=random) < 0.4  # the same mistake in both views
    views = []
    for number, wrong in enumerate((other, torch.where(stays, other, again))):
        named = F.one_hot(torch.where(knows, label, wrong), CLASSES).movedim(-1, 1)
        strength = torch.where(knows, 3.2, 2.9)[:, None]  # a little surer where it knows
        views.append(strength * named + random_logits(seed + number, len(label), CLASSES, *SIZE[1:]) / 2)
    return views[0], views[1].flip(-1), views[0].argmax(1) == label


def streets(seed):
    """Two students on the same images: (logits, flipped, right) of each."""
    label = random_label(seed, CLASSES, *SIZE)
    return student(10 * seed + 1, label), student(10 * seed + 3, label)


def confidence(logits, flipped):
    """The first idea: what is left for the other classes."""
    return 1 - logits.softmax(1).amax(1)


def judged(doubt, seed=0):
    """The area under the curve of a doubt on the made-up streets."""
    both = streets(seed)
    doubts = [asked(doubt, *student[:2]) for student in both]
    right = [student[2] for student in both]
    return better_auc(*doubts, *((~x).double() for x in right), right[0] != right[1])


# The checks ----------------------------------------------------------------------------------------------------------
def asked(doubt, logits, flipped):
    before = logits.clone(), flipped.clone()
    got = doubt(logits, flipped)
    need_tensor(got, (len(logits), *logits.shape[2:]), "your doubt")
    need(logits.equal(before[0]) and flipped.equal(before[1]), "your doubt changes its input in place")
    return got.detach().double()


def form(doubt, seed=0):
    (logits, flipped, _), _ = streets(seed)
    bad = int((~asked(doubt, 100 * logits, 100 * flipped).isfinite()).sum())
    need(bad == 0, f"for logits a hundred times larger your doubt is NaN or infinite at {bad} pixels; needed: nowhere")
    again = asked(doubt, logits[:1], flipped[:1])
    need(again.shape == (1, *SIZE[1:]), f"for one image your doubt has shape {tuple(again.shape)}")


def reached(doubt, seed, wanted, words):
    got = judged(doubt, seed)
    need(got >= wanted, f"your doubt has an area under the curve of {got:.2f}; needed: {wanted} or more{words}")


def chance(doubt, seed=0):
    got = judged(doubt, seed)
    words = " (below 0.5 it is upside down: doubt must be large where the student errs)" if got < 0.48 else ""
    reached(doubt, seed, 0.6, words)


def good(doubt, seed=0):
    reached(doubt, seed, 0.75, "; what does the mirrored image tell beside confidence?")


def measured(auc, *given):
    return float(torch.as_tensor(auc(*given)))


def scores(seed, size=(2, 6, 8)):
    doubts = [random_logits(seed + shift, *size) for shift in (0, 1)]
    right = [random_label(seed + shift, 2, *size) > 0 for shift in (2, 3)]
    return doubts, right


def pairs(auc, seed=0):
    (cnn, vit), (cnn_right, vit_right) = scores(seed)
    got = measured(auc, cnn, vit, cnn_right, vit_right)
    wanted = better_auc(cnn, vit, (~cnn_right).double(), (~vit_right).double(), cnn_right != vit_right)
    need(abs(got - (1 - wanted)) > 1e-6, f"your area is {got:.3f}, which is 1 less the right one: the order is swapped")
    need(abs(got - wanted) < 1e-6, f"without ties your area is {got:.3f}; needed: {wanted:.3f}")


def ties(auc, seed=0):
    doubts, right = scores(seed)
    cnn, vit = (x.mul(0) for x in doubts)
    got = measured(auc, cnn, vit, *right)
    need(abs(got - 0.5) < 1e-6, f"where all scores are equal your area is {got:.3f}; needed: 0.5, half of each pair")


# The picture ---------------------------------------------------------------------------------------------------------
def picture(doubt, auc):
    """Who is right, whom the doubt names, and the area under the curve of three doubts."""
    import matplotlib.pyplot as plt

    both = streets(0)
    right = [student[2] for student in both]
    rules = {"the same\neverywhere": lambda z, _: 0 * z[:, 0], "confidence": confidence, "yours": doubt}
    doubts = {name: [asked(rule, *student[:2]) for student in both] for name, rule in rules.items()}
    areas = {name: measured(auc, *pair, *right) for name, pair in doubts.items()}
    one, (cnn, vit) = right[0] != right[1], doubts["yours"]
    figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    masks = {
        "only this one is right": (one & right[1], one & right[0], one),
        "your doubt names": (one & (vit < cnn), one & (cnn < vit), one),
    }
    show_teachers(axes[:2], masks, ("the CNN", "the ViT", "nobody (a tie)", "both are right, or neither"))
    bars = axes[2].barh(list(areas), list(areas.values()), color=["0.7", "0.5", "0.2"])
    axes[2].bar_label(bars, fmt="%.2f", padding=3)
    axes[2].axvline(0.5, color="black", linestyle=":")
    axes[2].set(title="area under the curve", xlim=(0, 1.1))
    return figure
