"""What assignment 9 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import Wrong, need, need_pair, need_tensor, random_logits, show_teachers
from collab_seg.losses.base import directions as kit


def asked(directions, cnn_error, vit_error, valid):
    got = directions(cnn_error, vit_error, valid)
    need_pair(got, "to_cnn and to_vit")
    for name, mask in zip(("to_cnn", "to_vit"), got):
        need_tensor(mask, valid.shape, f"your {name}")
        need(mask.dtype == torch.bool, f"your {name} holds {mask.dtype}; needed: torch.bool")
    return got


# What the notebook shows by eye: None is void.
BY_EYE = ([[0.1, 0.9, 0.4, None], [3.0, 0.0, 1.2, 0.6]], [[0.5, 0.2, 0.4, None], [2.9, 0.0, 0.7, 0.8]])


def predict(prediction, seed=0):
    said = prediction()
    need(
        isinstance(said, (list, tuple)) and len(said) == 2 and all(isinstance(x, str) and len(x) == 4 for x in said),
        f"you return {said!r:.60}; needed: a list of two words of four letters",
    )
    for row, word in enumerate(said):
        for column, letter in enumerate(word):
            cnn, vit = (errors[row][column] for errors in BY_EYE)
            right = "-" if cnn is None or cnn == vit else "C" if vit < cnn else "V"
            known = "the label is void" if cnn is None else f"the CNN's error is {cnn}, the ViT's {vit}"
            need(letter == right, f"in row {row + 1}, place {column + 1}, {known}; you say {letter!r}")


def inputs(seed):
    errors = [random_logits(seed + shift, 2, 4, 6).abs() for shift in (0, 1)]
    return *errors, torch.ones(2, 4, 6, dtype=torch.bool)


def learner(directions, seed=0):
    given = inputs(seed)
    to_cnn, to_vit = asked(directions, *given)
    wanted = kit(*given)
    if to_cnn.equal(wanted["to_vit"]) and to_vit.equal(wanted["to_cnn"]):
        raise Wrong(
            "the better student learns from the worse one; needed: to_cnn is True where the ViT's error is smaller"
        )
    for name, got in (("to_cnn", to_cnn), ("to_vit", to_vit)):
        wrong = int((got != wanted[name]).sum())
        need(
            wrong == 0,
            f"your {name} is wrong at {wrong} of {got.numel()} places where the errors differ and nothing is void",
        )


def tie(directions, seed=0):
    cnn_error, vit_error, valid = inputs(seed)
    vit_error[:, 1] = cnn_error[:, 1]
    for name, mask in zip(("to_cnn", "to_vit"), asked(directions, cnn_error, vit_error, valid)):
        moved = int(mask[:, 1].sum())
        need(moved == 0, f"your {name} is True at {moved} of 12 places where both errors are equal; needed: nowhere")


def void(directions, seed=0):
    cnn_error, vit_error, valid = inputs(seed)
    valid[:, :, 2:4] = False
    for name, mask in zip(("to_cnn", "to_vit"), asked(directions, cnn_error, vit_error, valid)):
        moved = int(mask[~valid].sum())
        need(moved == 0, f"your {name} is True at {moved} void places; needed: nowhere that valid is False")


def picture(directions):
    """Two made-up error maps, and who teaches whom by your masks."""
    import matplotlib.pyplot as plt

    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    edge = torch.exp(-((rows - 6 - 4 * torch.sin(columns / 5)).abs()) / 1.5)
    noise = [random_logits(seed, 20, 30).abs().float() / 10 for seed in (0, 1)]
    cnn, vit = 0.7 * (1 - edge) + noise[0], 1.2 * edge + noise[1]
    valid = torch.ones(1, 20, 30, dtype=torch.bool)
    valid[:, 12:, 20:] = False
    cnn[:4, :8] = vit[:4, :8] = 0.5  # a tie
    masks = asked(directions, cnn[None], vit[None], valid)
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
    for axis, title, error in zip(axes, ("the CNN's error", "the ViT's error"), (cnn, vit)):
        image = axis.imshow(error.numpy(), vmin=0, vmax=1.2, interpolation="nearest")
        axis.set(title=title, xticks=[], yticks=[])
    figure.colorbar(image, ax=axes[:2], shrink=0.7)
    show_teachers(axes[2:], {"who teaches": (*masks, valid)})
    return figure
