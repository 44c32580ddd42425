"""What assignment 2 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import need, need_close, need_pair, need_tensor, random_label
from collab_seg.training.metrics import score


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
