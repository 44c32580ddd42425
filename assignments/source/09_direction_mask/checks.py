"""What assignment 9 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import Wrong, need, need_pair, need_tensor, random_logits
from collab_seg.losses.base import directions as kit


def asked(directions, cnn_error, vit_error, valid):
    got = directions(cnn_error, vit_error, valid)
    need_pair(got, "to_cnn and to_vit")
    for name, mask in zip(("to_cnn", "to_vit"), got):
        need_tensor(mask, valid.shape, f"your {name}")
        need(mask.dtype == torch.bool, f"your {name} holds {mask.dtype}; needed: torch.bool")
    return got


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
