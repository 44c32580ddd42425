"""What assignment 4 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import Wrong, need, need_close, need_pair, need_tensor, random_logits, show_maps
from collab_seg.data.toyscapes import render
from collab_seg.students.vit import OverlapPatchEmbed


def inputs(seed, kernel=7, stride=4):
    image, weight, bias = (
        random_logits(seed, 2, 3, 32, 48),
        random_logits(seed + 1, 5, 3, kernel, kernel),
        random_logits(seed + 2, 5),
    )
    return image, weight, bias, stride


def asked(patch_embedding, image, weight, bias, stride):
    got = patch_embedding(image, weight, bias, stride)
    need_pair(got, "the tokens and their grid")
    need(isinstance(got[0], torch.Tensor), f"your tokens are a {type(got[0]).__name__}; needed: a tensor")
    return got


def kit(image, weight, bias, stride):
    """The kit's embedding with these weights and without its layer norm."""
    module = OverlapPatchEmbed(3, len(weight), weight.shape[-1], stride).double()
    module.norm = torch.nn.Identity()
    module.proj.load_state_dict({"weight": weight, "bias": bias})
    tokens, size = module(image)
    return tokens.detach(), size


def grid(patch_embedding, seed=0):
    for kernel, stride in ((7, 4), (3, 2)):
        given = inputs(seed, kernel, stride)
        tokens, size = asked(patch_embedding, *given)
        wanted = kit(*given)[1]
        need(
            tuple(size) == tuple(wanted),
            f"for an image of 32 x 48, kernel {kernel} and stride {stride} your grid is {tuple(size)}; "
            f"needed: {tuple(wanted)}",
        )
        need_tensor(tokens, (2, wanted[0] * wanted[1], 5), "your tokens")


def order(patch_embedding, seed=0):
    given = inputs(seed)
    tokens, size = asked(patch_embedding, *given)
    wanted, (h, w) = kit(*given)
    if tokens.shape == wanted.shape and torch.allclose(tokens, wanted.transpose(1, 2).reshape(wanted.shape)):
        raise Wrong(
            "a token's numbers come from different windows: reshape does not move channels to the end, transpose does"
        )
    if tokens.shape == wanted.shape and torch.allclose(
        tokens, wanted.unflatten(1, (h, w)).transpose(1, 2).flatten(1, 2)
    ):
        raise Wrong("your tokens go column by column; needed: row by row")
    need_close(tokens, wanted, "a token [image, token, channel] is wrong")


def overlap(patch_embedding, seed=0):
    image, weight, bias, stride = inputs(seed)
    before = asked(patch_embedding, image, weight, bias, stride)[0]
    most = 0
    for shift in range(stride):  # some pixel lies where four windows of 7 x 7 meet
        changed = image.clone()
        changed[0, :, 14 + shift, 14 + shift] += 10
        most = max(
            most, int((asked(patch_embedding, changed, weight, bias, stride)[0] != before).sum()) // len(weight)
        )
    need(
        most == 4,
        f"with kernel 7 and stride 4 a pixel changes at most {most} of your tokens; needed: up to 4, windows overlap",
    )


def picture(patch_embedding):
    """A street, and two numbers of each of its tokens, put back on the grid."""
    grey = torch.as_tensor(render(0, 1)[0]).double().mean(-1) / 255
    side = torch.linspace(-1, 1, 7).double().expand(3, 7, 7)
    weight = torch.stack([side / side.abs().sum(), torch.full((3, 7, 7), 1 / 147).double()])
    tokens, (h, w) = asked(patch_embedding, grey.expand(1, 3, -1, -1), weight, torch.zeros(2).double(), 4)
    edges, bright = tokens[0].T.reshape(2, int(h), int(w))
    return show_maps({"street": grey, "upright edges": edges, "brightness": bright}, "value")
