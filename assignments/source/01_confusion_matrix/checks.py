"""What assignment 1 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import Wrong, need, need_close, need_tensor, random_label, show_maps
from collab_seg.data.toy_paint import CLASSES as NAMES
from collab_seg.data.toyscapes import render
from collab_seg.training.metrics import confusion_matrix as kit

CLASSES = 4


def labels(seed):
    """A prediction and a target without void, in which every class occurs as both."""
    prediction, target = (random_label(seed + shift, CLASSES, 5, 8) for shift in (0, 50))
    for x in (prediction, target):
        x[0, :CLASSES] = torch.arange(CLASSES)
    return prediction, target


def counts(confusion_matrix, seed=0):
    prediction, target = labels(seed)
    got, wanted = confusion_matrix(prediction, target, CLASSES), kit(prediction, target, CLASSES)
    need_tensor(got, (CLASSES, CLASSES), "your confusion matrix")
    if not wanted.equal(wanted.T) and got.equal(wanted.T):
        raise Wrong("rows and columns are swapped; needed: row = truth, column = prediction")
    need_close(got, wanted, "your confusion matrix counts wrongly")
    need(got.dtype == torch.int64, f"your confusion matrix holds {got.dtype}; needed: torch.int64")


def void(confusion_matrix, seed=0):
    prediction, target = labels(seed)
    target[1, : 3 + seed] = 255
    got, known = confusion_matrix(prediction, target, CLASSES), target != 255
    need(isinstance(got, torch.Tensor), f"your result is a {type(got).__name__}; needed: a tensor")
    many = int(got.sum()) - int(known.sum())
    without = confusion_matrix(prediction[known], target[known], CLASSES)
    rows = (got - without).sum(1) if got.shape == without.shape else torch.tensor([many])
    row = int(rows.abs().argmax())
    need(
        many <= 0,
        f"your confusion matrix counts void pixels (label 255): {many} too many, {int(rows[row])} of them in row {row}",
    )
    need(
        many == 0, f"your confusion matrix misses {-many} of {int(known.sum())} labelled pixels of an image with void"
    )


def absent(confusion_matrix, seed=0):
    prediction, target = labels(seed)
    got = confusion_matrix(prediction, target, CLASSES + 2)
    need_tensor(
        got,
        (CLASSES + 2, CLASSES + 2),
        f"your confusion matrix of {CLASSES + 2} classes, of which the last two do not occur,",
    )
    need(got[CLASSES:].sum() == 0 and got[:, CLASSES:].sum() == 0, "classes that do not occur are counted; needed: 0")


def picture(confusion_matrix):
    """The truth of a street, three pixels too far to the right, as a confusion matrix; each row sums to 1."""
    truth = torch.as_tensor(render(0, 1)[1]).long()
    moved = truth.roll(3, dims=1)
    moved[moved == 255] = 0
    matrix = confusion_matrix(moved, truth, len(NAMES)).double()
    shares = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    figure = show_maps({"how often the truth is called ...": shares}, "share of the row", 0, 1)
    figure.set_size_inches(5, 4)
    axis = figure.axes[0]
    axis.set(xticks=range(len(NAMES)), yticks=range(len(NAMES)), yticklabels=NAMES, ylabel="truth")
    axis.set_xticklabels(NAMES, rotation=60)
    return figure
