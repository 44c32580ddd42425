"""What assignment 6 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import need, need_close, need_tensor, random_logits
from collab_seg.losses.hfd import linear_cka as kit


def features(seed, centred=True):
    """Features of 30 places by two networks that have something in common."""
    a = random_logits(seed, 30, 4)
    b = torch.cat([a[:, :2], random_logits(seed + 1, 30, 5)], dim=1)
    return (a - a.mean(0), b - b.mean(0)) if centred else (a, b)


def value(linear_cka, seed=0):
    a, b = torch.tensor([[1.0], [-1.0]]).double(), torch.tensor([[2.0, 0.0], [-2.0, 0.0]]).double()
    need_close(linear_cka(a, b), torch.tensor(1.0), "the example worked by hand")
    need_close(linear_cka(*features(seed)), kit(*features(seed)), "for random features of 30 places, mean 0")


def centred(linear_cka, seed=0):
    a, b = features(seed, centred=False)
    before, after = linear_cka(a, b), linear_cka(a + 3, b - torch.arange(7) * (seed + 1.0))
    need_tensor(before, ())
    need(
        (before - after).abs() < 1e-9,
        f"a constant added to each channel changes CKA from {before:.4f} to {after:.4f}; "
        "needed: move each column to mean 0 first",
    )


def same(linear_cka, seed=0):
    a = features(seed)[0]
    turn = torch.linalg.qr(random_logits(seed + 5, 4, 4))[0]
    for what, other in (("themselves", a), ("themselves, 3 times larger", 3 * a), ("themselves, turned", a @ turn)):
        got = linear_cka(a, other)
        need_tensor(got, ())
        need(
            (got - 1).abs() < 1e-6,
            f"features compared with {what} give {got:.4g}; needed: 1; look at the denominator and at the squares",
        )


def picture(linear_cka):
    """CKA of features and the same features with more and more noise, for many places and for few."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 3), layout="constrained")
    shares = torch.linspace(0, 1, 21).double()
    for places, style in ((1000, "-o"), (20, "--s")):
        a, noise = random_logits(1, places, 10), random_logits(2, places, 10)
        turned = a @ torch.linalg.qr(random_logits(3, 10, 10))[0]
        values = [float(linear_cka(a, (1 - s) * turned + s * noise)) for s in shares]
        axis.plot(shares, values, style, markersize=4, label=f"{places} places, 10 channels")
    axis.set(xlabel="share of noise", ylabel="CKA", ylim=(0, 1.03))
    axis.legend()
    return figure
