"""What assignment 2 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import need, need_close, need_pair, need_tensor, random_label
from collab_seg.data.toy_paint import CLASSES as NAMES
from collab_seg.data.toyscapes import render
from collab_seg.training.metrics import confusion_matrix, score


def counts(seed, classes=4):
    """A confusion matrix without zeros."""
    return random_label(seed, 9, classes, classes) + 1 + 5 * torch.eye(classes, dtype=torch.int64)


def with_nobody(seed):
    """The same, with one class that is nowhere."""
    matrix = counts(seed)
    gone = seed % len(matrix)
    matrix[gone], matrix[:, gone] = 0, 0
    return matrix, gone


def asked(scores, matrix):
    got = scores(matrix)
    need_pair(got, "the IoUs and their mean")
    need_tensor(got[0], (len(matrix),), "your iou")
    return got[0].double(), torch.as_tensor(got[1]).double()


def iou(scores, seed=0):
    by_hand = torch.tensor([[3, 1], [2, 4]])
    need_close(asked(scores, by_hand)[0], torch.tensor([3 / 6, 4 / 7]), "the IoUs of [[3, 1], [2, 4]] are wrong")
    matrix = counts(seed)
    need_close(asked(scores, matrix)[0], score(matrix).iou, "an IoU of a 4 x 4 matrix is wrong")


def nowhere(scores, seed=0):
    matrix, gone = with_nobody(seed)
    got = asked(scores, matrix)[0][gone]
    need(got.isnan(), f"a class that is in neither truth nor prediction has IoU {got:.3g}; needed: NaN")


def mean(scores, seed=0):
    for matrix, there in ((counts(seed), slice(None)), (with_nobody(seed)[0], with_nobody(seed)[0].sum(1) > 0)):
        ious, got = asked(scores, matrix)
        wanted = ious[there].mean()  # of your own IoUs, so that one mistake is counted once
        need(got.shape == (), f"your miou has shape {tuple(got.shape)}; needed: one number")
        need(
            (got - wanted).abs() < 1e-9,
            f"your miou is {got:.4g}, but the mean of your IoUs of classes that occur is {wanted:.4g}",
        )


def picture(scores):
    """IoU of three classes and the mean while the truth of a street is moved to the right."""
    import matplotlib.pyplot as plt

    truth, steps, lines = torch.as_tensor(render(0, 1)[1]).long(), range(7), {}
    for step in steps:
        moved = truth.roll(step, dims=1)
        moved[moved == 255] = 0
        iou, miou = scores(confusion_matrix(moved, truth, len(NAMES)))
        for name in ("road", "car", "pole"):
            lines.setdefault(name, []).append(float(iou[NAMES.index(name)]))
        lines.setdefault("mean", []).append(float(miou))
    figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
    for (name, values), style in zip(lines.items(), ("-o", "--s", ":^", "-k")):
        axis.plot(steps, values, style, label=name, linewidth=3 if name == "mean" else 1.5)
    axis.set(xlabel="pixels too far to the right", ylabel="IoU", ylim=(0, 1.03))
    axis.legend()
    return figure
