"""What assignment 3 is checked for; each check takes your function and raises Wrong with one line."""

import torch
from torch import nn

from checking import need, need_tensor, random_logits, show_maps


def made(aspp_branch, inputs, outputs, rate):
    branch = aspp_branch(inputs, outputs, rate)
    need(isinstance(branch, nn.Module), f"you return a {type(branch).__name__}; needed: an nn.Module")
    return branch


def grid(aspp_branch, seed=0):
    for rate in (1, 2, 6 + seed):
        got = made(aspp_branch, 3, 5, rate)(torch.randn(2, 3, 9, 12))
        need_tensor(got, (2, 5, 9, 12), f"at rate {rate}, for a map (2, 3, 9, 12), your result")


def reach(aspp_branch, seed=0):
    rate = 3 + seed
    branch = made(aspp_branch, 2, 3, rate).eval()
    for module in branch.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
    x = torch.ones(1, 2, 41, 41, requires_grad=True)
    got = branch(x)
    got[0, :, got.shape[2] // 2, got.shape[3] // 2].sum().backward()
    rows, columns = (x.grad[0].sum(0).sum(axis).nonzero().flatten() for axis in (1, 0))
    for name, places in (("rows", rows), ("columns", columns)):
        apart = places.diff().tolist()
        need(
            apart == [rate, rate],
            f"at rate {rate} a result depends on {len(places)} {name} of the map, {apart} apart; "
            f"needed: 3, [{rate}, {rate}] apart",
        )


def order(aspp_branch, seed=0):
    torch.manual_seed(seed)
    branch = made(aspp_branch, 3, 4, 2).double()
    biased = [m for m in branch.modules() if isinstance(m, nn.Conv2d) and m.bias is not None]
    need(not biased, "a convolution has a bias, which the batch norm behind it takes away again; needed: bias=False")
    need(
        any(isinstance(m, nn.BatchNorm2d) for m in branch.modules()),
        "there is no nn.BatchNorm2d; needed: one behind the convolution",
    )
    branch.train()
    x = random_logits(seed, 4, 3, 8, 8)
    once, scaled = branch(x), branch(10 * x)
    need(
        (once >= 0).all(),
        f"your result goes down to {once.min().item():.2f}; needed: ReLU as the last step, so 0 or more",
    )
    # Batch norm gives mean 0 and variance 1; what ReLU leaves of that is about half of the places.
    need(
        (once - scaled).abs().max() < 1e-2,
        "a map that is 10 times larger gives another result; needed: batch norm behind the convolution",
    )
    share = (once == 0).double().mean().item()
    need(
        0.2 < share < 0.8,
        f"{share:.0%} of your results are 0, about half is expected; needed: batch norm before ReLU, not after it",
    )


def picture(aspp_branch):
    """On which cells the middle one of a result depends, at three rates."""
    seen = {}
    for rate in (1, 2, 6):
        branch = made(aspp_branch, 1, 1, rate).eval()
        for module in branch.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.ones_(module.weight)
        x = torch.ones(1, 1, 15, 15, requires_grad=True)
        branch(x)[0, 0, 7, 7].backward()
        seen[f"rate {rate}"] = (x.grad[0, 0] != 0).double()
    return show_maps(seen, "1: looked at", 0, 1)
