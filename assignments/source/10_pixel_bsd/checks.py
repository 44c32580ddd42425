"""What assignment 10 is checked for; each check takes your function and raises Wrong with one line."""

import torch
from torch.nn.functional import one_hot

from checking import need, need_close, need_tensor, random_label, random_logits, show_maps
from collab_seg.losses.pixel import pixel_directions, soft_kl
from collab_seg.losses.base import masked_mean

CLASSES = 5


def inputs(seed):
    logits = [random_logits(seed + shift, 2, CLASSES, 4, 6, gradient=True) for shift in (0, 1)]
    return *logits, random_label(seed, CLASSES, 2, 4, 6)


def kit(cnn, vit, label, temperature):
    return masked_mean(soft_kl(cnn, vit, temperature), pixel_directions(cnn, vit, label)["to_cnn"])


def value(pixel_bsd_to_cnn, seed=0):
    got, wanted = pixel_bsd_to_cnn(*inputs(seed), 1.0), kit(*inputs(seed), 1.0)
    need_tensor(got, (), "your loss")
    cnn, vit, label = inputs(seed)
    mask = pixel_directions(cnn, vit, label)["to_cnn"]
    typical = {
        "over all pixels instead of those where the ViT is better": wanted * mask.sum() / mask.numel(),
        "with the two distributions swapped, KL(CNN || ViT)": masked_mean(soft_kl(vit, cnn), mask),
        "at all pixels, not only where the ViT is better": soft_kl(cnn, vit).mean(),
    }
    for what, wrong in typical.items():
        need(
            (got - wrong).abs() > 1e-6,
            f"your loss is {got:.4f}, which is what comes out {what}; needed: {wanted:.4f}",
        )
    need_close(got, wanted, "the loss at T = 1 is wrong")


def teacher(pixel_bsd_to_cnn, seed=0):
    cnn, vit, label = inputs(seed)
    loss = pixel_bsd_to_cnn(cnn, vit, label, 1.0)
    need_tensor(loss, (), "your loss")
    need(
        loss.requires_grad,
        "your loss has no gradient at all; needed: one for the CNN, which learns; detach the ViT's logits only",
    )
    to_cnn, to_vit = torch.autograd.grad(loss, (cnn, vit), allow_unused=True)
    need(
        to_cnn is not None and to_cnn.abs().max() > 0,
        "the CNN, which learns, gets no gradient; needed: detach the ViT's logits only",
    )
    size = 0.0 if to_vit is None else to_vit.norm().item()
    need(
        size == 0,
        f"the gradient leaks to the teacher: the ViT's logits get one of length {size:.3g}; needed: none (detach them)",
    )


def void(pixel_bsd_to_cnn, seed=0):
    cnn, vit, label = (x.detach() for x in inputs(seed))
    label[:, :, 3:] = 255
    got, without = (
        pixel_bsd_to_cnn(cnn, vit, label, 1.0),
        pixel_bsd_to_cnn(cnn[..., :3], vit[..., :3], label[..., :3], 1.0),
    )
    need_tensor(got, (), "your loss")
    need(
        (got - without).abs() < 1e-9,
        f"with void in the right half the loss is {got:.4f}, without that half {without:.4f}; "
        "needed: the same, void in neither the sum nor the count",
    )


def softened(pixel_bsd_to_cnn, seed=0):
    cnn, vit, label = (x.detach() for x in inputs(seed))
    vit = vit.scatter(1, label[:, None], 30.0)  # the ViT is right everywhere, at any temperature
    temperature = 2.0 + seed
    got = pixel_bsd_to_cnn(cnn, vit, label, temperature)
    need_tensor(got, (), "your loss")
    need(
        got > 0,
        f"at T = {temperature:g} the loss is {got.item():.4g}; needed: more than 0, for the ViT is better everywhere",
    )
    wanted = temperature**2 * pixel_bsd_to_cnn(cnn / temperature, vit / temperature, label, 1.0)
    need_close(got, wanted, f"at T = {temperature:g} the loss is not T² times the loss of logits divided by T")


def nobody(pixel_bsd_to_cnn, seed=0):
    cnn, vit, label = inputs(seed)
    best = cnn.detach().scatter(1, label[:, None], 30.0).requires_grad_()
    loss = pixel_bsd_to_cnn(best, vit, label, 1.0)
    need_tensor(loss, (), "your loss")
    need(loss == 0, f"where the ViT is nowhere better the loss is {loss.item():.4g}; needed: 0")
    need(
        loss.requires_grad,
        "where the ViT is nowhere better your 0 has no gradient, so loss.backward() fails; needed: a sum over no pixel",
    )
    (gradient,) = torch.autograd.grad(loss, best)
    need(bool(gradient.isfinite().all()), "where the ViT is nowhere better the gradient is not finite; needed: 0")


def picture(pixel_bsd_to_cnn):
    """Where the ViT is better, and how strongly the loss pulls at each student's logits there."""
    label = random_label(0, CLASSES, 1, 12, 16)
    label[:, 8:, 11:] = 255
    logits = [random_logits(s, 1, CLASSES, 12, 16) for s in (0, 1)]
    right = one_hot(torch.where(label == 255, 0, label), CLASSES).movedim(-1, 1)
    logits[1][..., 5:11] += 4 * right[..., 5:11]  # in the middle, the ViT is mostly better
    cnn, vit = (z.requires_grad_() for z in logits)
    pixel_bsd_to_cnn(cnn, vit, label, 1.0).backward()
    better = pixel_directions(cnn, vit, label)["to_cnn"][0].double()
    pulls = [torch.zeros(12, 16) if z.grad is None else z.grad[0].norm(dim=0) for z in (cnn, vit)]
    most = max(pull.max().item() for pull in pulls) or 1
    maps = {"the ViT is better": better, "pull on the CNN": pulls[0] / most, "pull on the ViT": pulls[1] / most}
    return show_maps(maps, "1: most", 0, 1)
