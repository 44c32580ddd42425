"""What assignment 5 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import Wrong, need_close, need_tensor, random_logits, show_maps
from collab_seg.students.vit import EfficientSelfAttention

GRID, WIDTH = (4, 6), 8


def inputs(seed):
    weights = [random_logits(seed + i, WIDTH, WIDTH) / WIDTH**0.5 for i in (1, 2, 3)]
    return random_logits(seed, 2, GRID[0] * GRID[1], WIDTH), weights


def kit(tokens, weights, heads, reduction):
    """The kit's attention with these weights, the mean in place of its convolution, and no projection behind it."""
    wq, wk, wv = weights
    module = EfficientSelfAttention(WIDTH, heads, reduction).double()
    module.proj = module.norm = torch.nn.Identity()
    with torch.no_grad():
        module.q.weight.copy_(wq.T), module.kv.weight.copy_(torch.cat([wk, wv], dim=1).T)
        module.q.bias.zero_(), module.kv.bias.zero_()
        if reduction > 1:
            mean = torch.eye(WIDTH)[:, :, None, None].expand(-1, -1, reduction, reduction) / reduction**2
            module.reduce.weight.copy_(mean), module.reduce.bias.zero_()
        return module(tokens, GRID)


def compare(efficient_attention, seed, heads, reduction):
    tokens, weights = inputs(seed)
    got = efficient_attention(tokens, GRID, *weights, heads, reduction)
    need_tensor(got, tokens.shape)
    if heads > 1:  # dividing the queries by sqrt(heads) is the same as the square root of the whole width
        wide = kit(tokens, [weights[0] / heads**0.5, *weights[1:]], heads, reduction)
        if torch.allclose(got, wide):
            raise Wrong("you divide by the square root of all channels; needed: of the channels of one head")
    need_close(
        got,
        kit(tokens, weights, heads, reduction),
        f"with heads = {heads} and reduction = {reduction}, at [image, token, channel]",
    )


def plain(efficient_attention, seed=0):
    same = efficient_attention(
        inputs(seed)[0], GRID, *inputs(seed)[1][:2], torch.zeros(WIDTH, WIDTH, dtype=torch.float64), 1, 1
    )
    need_close(same, torch.zeros_like(inputs(seed)[0]), "values that are all 0 must give 0")
    tokens, weights = inputs(seed)
    ones = efficient_attention(torch.ones_like(tokens), GRID, *weights, 1, 1)
    need_close(
        ones,
        torch.ones_like(tokens) @ weights[2],
        "tokens that are all alike must give their value: do the weights of a query sum to 1?",
    )
    compare(efficient_attention, seed, 1, 1)


def several_heads(efficient_attention, seed=0):
    compare(efficient_attention, seed, 2 if seed % 2 else 4, 1)


def reduced(efficient_attention, seed=0):
    compare(efficient_attention, seed, 1, 2)


def picture(efficient_attention):
    """Attention as a mean over places that are alike: two surfaces with noise, before and after."""
    side, eye = 16, torch.eye(2, dtype=torch.float64)
    surface = torch.ones(side, side, dtype=torch.float64)
    surface[:, : side // 2 - 2] = -1
    noisy = surface + random_logits(3, side, side) / 4
    tokens = torch.stack([noisy, surface.new_zeros(side, side)], -1).reshape(1, -1, 2)
    maps = {"before": noisy}
    for reduction in (1, 4):
        got = efficient_attention(tokens, (side, side), 2 * eye, 2 * eye, eye, 1, reduction)
        need_tensor(got, tokens.shape)
        maps[f"after, reduction {reduction}"] = got[0, :, 0].reshape(side, side)
    return show_maps(maps, "value", -1.6, 1.6, "cividis")
