"""What assignment 11 is checked for; each check takes your function and raises Wrong with one line."""

import torch
import torch.nn.functional as F

from checking import Wrong, need, need_close, need_tensor, random_label, random_logits
from collab_seg.losses.others import min_logit as kit

CLASSES = 5


def inputs(seed):
    logits = [random_logits(seed + shift, 2, CLASSES, 4, 6, gradient=True) for shift in (0, 1)]
    return *logits, random_label(seed, CLASSES, 2, 4, 6)


def teacher(min_logit, seed=0):
    cnn, vit = (torch.tensor(z).double().view(1, 3, 1, 1) for z in ([2, 1, 0], [1, 3, -2]))
    by_hand = torch.tensor([0.0, -1, -3]).view(1, 3, 1, 1)
    need_close(
        min_logit(cnn, vit, torch.zeros(1, 1, 1, dtype=torch.int64)),
        by_hand,
        "the example worked by hand, at [image, class, row, column]",
    )
    cnn, vit, label = inputs(seed)
    got, wanted = min_logit(cnn, vit, label), kit(cnn, vit, label)
    need_tensor(got, wanted.shape)
    if torch.allclose(got, torch.minimum(cnn, vit)):
        raise Wrong(
            "you take the smaller logit as it is; needed: subtract the true class's logit from each student's first"
        )
    need_close(got, wanted, "the teacher's logit at [image, class, row, column] is wrong")


def better(min_logit, seed=0):
    cnn, vit, label = inputs(seed)
    got = min_logit(cnn, vit, label)
    need_tensor(got, cnn.shape)
    errors = [F.cross_entropy(z, label, reduction="none") for z in (got, cnn, vit)]
    worse = int((errors[0] > torch.minimum(*errors[1:]) + 1e-9).sum())
    need(
        worse == 0,
        f"at {worse} of {label.numel()} pixels the teacher's error is larger than the better student's; needed: nowhere",
    )


def void(min_logit, seed=0):
    cnn, vit, label = inputs(seed)
    label[:, 1:3, ::2] = 255
    got = min_logit(cnn, vit, label)
    need_tensor(got, cnn.shape)
    need(
        bool(got.isfinite().all()),
        "with void pixels some of the teacher's logits are not finite; needed: any finite number there",
    )


def constant(min_logit, seed=0):
    cnn, vit, label = inputs(seed)
    got = min_logit(cnn, vit, label)
    need_tensor(got, cnn.shape)
    need(
        not got.requires_grad,
        "a gradient flows through the teacher to the students; needed: detach both students' logits",
    )


def picture(min_logit):
    """The cross-entropy of both students and of the teacher at forty pixels."""
    import matplotlib.pyplot as plt

    from collab_seg.show import STUDENTS

    label = random_label(0, CLASSES, 1, 1, 40)
    cnn, vit = (random_logits(seed, 1, CLASSES, 1, 40) for seed in (0, 1))
    got = min_logit(cnn, vit, label)
    need_tensor(got, cnn.shape)
    errors = [F.cross_entropy(z, label, reduction="none").flatten() for z in (cnn, vit, got)]
    order = torch.minimum(*errors[:2]).argsort()
    figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
    for values, name, marker in zip(errors, ("cnn", "vit"), ("o", "s")):
        axis.plot(values[order], marker, color=STUDENTS[name].hex, label=STUDENTS[name].title)
    axis.plot(errors[2][order], "k-", label="teacher")
    axis.set(xlabel="pixel, sorted by the better student's error", ylabel="cross-entropy")
    axis.legend()
    return figure
