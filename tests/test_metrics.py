"""The confusion matrix and its scores: against a loop, against torchmetrics, and at the edges."""

import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from collab_seg.core import IGNORE_INDEX
from collab_seg.training.metrics import Confusion, confusion_matrix, score


def by_loop(prediction, target, classes):
    """The confusion matrix, one pixel at a time."""
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    for guess, truth in zip(prediction.flatten().tolist(), target.flatten().tolist()):
        if truth != IGNORE_INDEX:
            matrix[truth, guess] += 1
    return matrix


def labels(seed, classes, shape, void):
    """A prediction and a truth, with a share of void in the truth."""
    torch.manual_seed(seed)
    prediction, target = torch.randint(0, classes, shape), torch.randint(0, classes, shape)
    target[torch.rand(shape) < void] = IGNORE_INDEX
    return prediction, target


def test_it_counts_as_a_loop_does_whole_and_batch_by_batch():
    prediction, target = labels(0, 5, (2, 30, 40), 0.1)
    matrix = confusion_matrix(prediction, target, 5)
    assert torch.equal(matrix, by_loop(prediction, target, 5))
    running = Confusion(5)
    for p, t in zip(prediction, target):
        running.update(p, t)
    assert running.score().miou == score(matrix).miou


@pytest.mark.parametrize("seed", range(20))
def test_class_by_class_it_is_what_torchmetrics_says(seed):
    prediction, target = labels(seed, 7, (3, 20, 25), 0.2)
    theirs = MulticlassJaccardIndex(7, average=None, ignore_index=IGNORE_INDEX)(prediction, target)
    ours = score(confusion_matrix(prediction, target, 7))
    assert (theirs - ours.iou).abs().max() < 1e-6 and abs(theirs.mean() - ours.miou) < 1e-6


@pytest.mark.parametrize(
    ("value", "said"),
    [(7, "prediction holds labels 7 to 7"), (-1, "prediction holds labels -1 to -1")],
)
def test_wrong_labels_are_named(value, said):
    target = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 255]])
    with pytest.raises(ValueError, match=said):
        confusion_matrix(torch.full_like(target, value), target, 3)
    with pytest.raises(ValueError, match="shape"):
        confusion_matrix(target[:, :3], target, 3)


def test_by_hand_and_what_is_nowhere_is_left_out():
    target = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 255]])
    prediction = torch.tensor([[0, 1, 1, 1], [0, 0, 0, 2]])
    result = score(confusion_matrix(prediction, target, 3))
    assert [round(x, 6) for x in result.iou.tolist()[:2]] == [0.6, 0.5] and result.iou[2].isnan()
    assert abs(result.miou - 0.55) < 1e-12 and abs(result.accuracy - 5 / 7) < 1e-12
    only_claimed = score(torch.tensor([[3, 1], [0, 0]]))
    assert only_claimed.iou.tolist() == [0.75, 0.0] and only_claimed.miou == 0.375


def test_nothing_but_void_has_no_score():
    nothing = Confusion(2)
    nothing.update(torch.zeros(4, 4), torch.full((4, 4), IGNORE_INDEX))
    assert nothing.score().truth.sum() == 0 and nothing.score().iou.isnan().all()
    assert nothing.score().miou != nothing.score().miou  # NaN
    assert Confusion(2).score().miou != Confusion(2).score().miou
