"""What assignment 8 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import need, need_close, need_pair, need_tensor, random_label, random_logits, show_maps
from collab_seg.losses.region import region_mean


def asked(region_error, error, label, size):
    got = region_error(error, label, size)
    need_pair(got, "mean and has")
    rows, columns = -(-error.shape[1] // size), -(-error.shape[2] // size)
    for name, x in zip(("mean", "has"), got):
        need_tensor(
            x, (len(error), rows, columns), f"for a map {tuple(error.shape)} and windows of {size}, your {name}"
        )
    need(got[1].dtype == torch.bool, f"your has holds {got[1].dtype}; needed: torch.bool")
    return got


def inputs(seed, h=8, w=12):
    return random_logits(seed, 2, h, w).abs(), random_label(seed, 5, 2, h, w)


def kit(error, label, size):
    mean, has = region_mean(error[:, None], label != 255, size)
    return mean[:, 0], has


def mean(region_error, seed=0):
    for size in (2, 4):
        need_close(
            asked(region_error, *inputs(seed), size)[0],
            kit(*inputs(seed), size)[0],
            f"windows of {size}, nothing void: a mean [image, row, column] is wrong",
        )


def void(region_error, seed=0):
    error, label = inputs(seed)
    label[:, ::2, ::3] = 255  # some of each window, never all
    error = torch.where(label == 255, 100.0, error)
    need_close(
        asked(region_error, error, label, 4)[0],
        kit(error, label, 4)[0],
        "windows of 4, some pixels void (their error is 100 and must not count): a mean [image, row, column] is wrong",
    )


def edge(region_error, seed=0):
    given = inputs(seed, 7, 10)
    need_close(
        asked(region_error, *given, 4)[0],
        kit(*given, 4)[0],
        "windows of 4 in a map of 7 x 10: a mean [image, row, column] is wrong",
    )


def empty(region_error, seed=0):
    error, label = inputs(seed)
    label[1, :4, 4:8] = 255
    got, has = asked(region_error, error, label, 4)
    need(
        bool((has == kit(error, label, 4)[1]).all()),
        "your has is wrong; needed: False for a window that is all void, True elsewhere",
    )
    need(got[1, 0, 1] == 0, f"the mean of a window that is all void is {got[1, 0, 1].item():.3g}; needed: 0")


def picture(region_error):
    """One error map with void, in windows of four sizes; white where a window has no label."""
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(30.0), indexing="ij")
    border = (rows - 6 - 4 * torch.sin(columns / 5)).abs()  # errors are large along an edge
    error = 2.5 * torch.exp(-border / 1.5) + random_logits(0, 20, 30).abs().float() / 8
    label = torch.zeros(1, 20, 30, dtype=torch.int64)
    label[:, 12:, 20:] = 255
    maps = {}
    for size in (1, 2, 4, 8):
        mean, has = asked(region_error, error[None], label, size)
        known = torch.where(has, mean, torch.nan)[0]
        maps[f"windows of {size}"] = known.repeat_interleave(size, 0).repeat_interleave(size, 1)[:20, :30]
    return show_maps(maps, "mean error", 0, 2.5)
