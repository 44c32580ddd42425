"""What assignment 7 is checked for; each check takes your function and raises Wrong with one line."""

import torch
from torch import nn

from checking import need, need_close, need_tensor, random_logits
from collab_seg.losses.hfd import ConvMLPTranslator, cosine_distance, normed


def layers(conv_mlp, seed=0):
    inputs, outputs = 4 + seed, 6
    module, kit = conv_mlp(inputs, outputs), ConvMLPTranslator(inputs, outputs)
    need(isinstance(module, nn.Module), f"you return a {type(module).__name__}; needed: an nn.Module")
    x = torch.randn(2, inputs, 9, 11, requires_grad=True)
    need_tensor(module(x), (2, outputs, 9, 11), f"for a map (2, {inputs}, 9, 11) your translation")
    module(x)[0, :, 4, 5].sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    need(
        seen.sum() == 9,
        f"a place of your result depends on {int(seen.sum())} places of the map; needed: 9, by one 3x3 convolution",
    )
    got, wanted = (sum(p.numel() for p in m.parameters()) for m in (module, kit))
    need(
        got == wanted,
        f"for {inputs} to {outputs} channels your module has {got} parameters; needed: {wanted} "
        "(the 3x3 convolution depthwise, twice the channels in between, biases kept)",
    )
    need(any(isinstance(m, nn.GELU) for m in module.modules()), "there is no nn.GELU")


def maps(seed):
    return random_logits(seed, 2, 5, 4, 6, gradient=True), random_logits(seed + 1, 2, 5, 4, 6, gradient=True)


def value(hfd_to_vit, seed=0):
    translated, cnn_low = maps(seed)
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    wanted = cosine_distance(translated, normed(cnn_low), valid)
    need_close(hfd_to_vit(translated, cnn_low, valid), wanted, "where every place is valid the loss is wrong")


def void(hfd_to_vit, seed=0):
    translated, cnn_low = (x.detach() for x in maps(seed))
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[:, :, 3:] = False
    got = hfd_to_vit(translated, cnn_low, valid)
    without = hfd_to_vit(translated[..., :3], cnn_low[..., :3], valid[..., :3])
    need_tensor(got, (), "your loss")
    need(
        (got - without).abs() < 1e-9,
        f"with void in the right half the loss is {got:.4f}, without that half {without:.4f}; "
        "needed: the same, void in neither the sum nor the count",
    )


def teacher(hfd_to_vit, seed=0):
    translated, cnn_low = maps(seed)
    loss = hfd_to_vit(translated, cnn_low, torch.ones(2, 4, 6, dtype=torch.bool))
    need_tensor(loss, (), "your loss")
    need(
        loss.requires_grad,
        "your loss has no gradient at all; needed: one for the ViT, which learns; detach the CNN's map only",
    )
    to_vit, to_cnn = torch.autograd.grad(loss, (translated, cnn_low), allow_unused=True)
    need(
        to_vit is not None and to_vit.abs().max() > 0,
        "the ViT, which learns, gets no gradient; needed: detach the CNN's map only",
    )
    size = 0.0 if to_cnn is None else to_cnn.norm().item()
    need(
        size == 0,
        f"the gradient leaks to the teacher: the CNN's map gets one of length {size:.3g}; needed: none (detach it)",
    )


def picture(conv_mlp, hfd_to_vit):
    """A hundred steps of your translator by your loss, and of a 1x1 convolution in its place."""
    import matplotlib.pyplot as plt

    torch.manual_seed(0)
    vit_low, valid = torch.randn(8, 6, 12, 16), torch.ones(8, 12, 16, dtype=torch.bool)
    cnn_low = nn.Conv2d(6, 5, 3, padding=1)(vit_low).detach()
    figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
    for name, module, style in (
        ("your conv_mlp", conv_mlp(6, 5), "-"),
        ("a 1x1 convolution", nn.Conv2d(6, 5, 1), "--"),
    ):
        optimizer, history = torch.optim.Adam(module.parameters(), lr=1e-2), []
        for _ in range(100):
            loss = hfd_to_vit(module(vit_low), cnn_low, valid)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        axis.plot(history, style, label=name)
    axis.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axis.legend()
    return figure
