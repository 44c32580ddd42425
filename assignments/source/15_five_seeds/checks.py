"""What assignment 15 is checked for; each check takes your function and raises Wrong with one line."""

import numpy as np
import torch

from checking import need, need_close, need_pair, random_logits
from collab_seg.studies.compare import student_t

TABLE = {  # the ViT's mIoU on CamVid, seeds 0 to 4, from results/studies/camvid_pocket.csv
    "alone": (48.11, 45.46, 47.16, 50.44, 45.22),
    "collab": (47.33, 47.13, 48.08, 52.24, 49.04),
    "hfd": (47.85, 49.27, 48.25, 51.36, 49.73),
    "region": (49.31, 48.34, 49.55, 52.15, 47.41),
    "kdcl_naive": (46.24, 46.98, 47.43, 51.63, 47.55),
    "dml": (48.39, 46.22, 48.62, 50.57, 47.13),
}
ALL = 27  # methods that the study compares with alone
ROWS = [
    {"method": method, "seed": seed, "miou": miou}
    for method, values in TABLE.items()
    for seed, miou in enumerate(values)
]


def t_value(n: int, comparisons: int = 1) -> float:
    """How many standard errors the interval of n differences is wide, to each side; for so many comparisons."""
    t, mass = student_t(n - 1)
    return float(np.interp(1 - 0.05 / comparisons, mass, t))


def shuffled(seed, lacking=()):
    """Rows of two methods in any order; `lacking` are pairs of method and seed that are not there."""
    random = torch.Generator().manual_seed(seed)
    rows = [
        {"method": method, "seed": number, "miou": float(40 + 5 * number + torch.rand((), generator=random))}
        for method in ("new", "old", "other")
        for number in range(5)
        if (method, number) not in lacking
    ]
    return [rows[i] for i in torch.randperm(len(rows), generator=random)]


def compare(differences, rows, why):
    got = differences(rows, "new", "old")
    need(isinstance(got, (list, tuple)), f"you return a {type(got).__name__}; needed: a list")
    new, old = ({row["seed"]: row["miou"] for row in rows if row["method"] == name} for name in ("new", "old"))
    wanted = [new[seed] - old[seed] for seed in range(5) if seed in new and seed in old]
    need(len(got) == len(wanted), f"{why}: you return {len(got)} differences; needed: {len(wanted)}")
    got, wanted = torch.tensor(got, dtype=torch.float64), torch.tensor(wanted, dtype=torch.float64)
    need(
        not torch.allclose(got, -wanted, atol=1e-6),
        f"{why}: your signs are swapped; needed: method less baseline",
    )
    need_close(got, wanted, f"{why}: the difference of a seed is wrong (are both numbers of the same seed?)")


def paired(differences, seed=0):
    rows = shuffled(seed)
    compare(differences, rows, "with rows in any order")


def missing(differences, seed=0):
    gone = [("new", seed % 5), ("old", (seed + 2) % 5)]
    rows = sorted(shuffled(seed, gone), key=lambda row: (row["method"], row["seed"]))
    compare(differences, rows, f"without seed {gone[0][1]} of new and seed {gone[1][1]} of old")


def wide(interval, seed=0):
    d = random_logits(seed, 5 + seed).tolist()
    for comparisons in (1, 10):
        got = interval(d, comparisons)
        need_pair(got, "mean and half")
        mean, half = (float(x) for x in got)
        n, values = len(d), np.array(d)
        need(abs(mean - values.mean()) < 1e-6, f"your mean is {mean:.4f}; needed: {values.mean():.4f}")
        error = values.std(ddof=1) / n**0.5
        typical = {
            "with n in place of n - 1 in s": t_value(n, comparisons) * values.std() / n**0.5,
            "with the t of one comparison": t_value(n) * error if comparisons > 1 else np.nan,
            "without the square root of n": t_value(n, comparisons) * error * n**0.5,
        }
        for what, wrong in typical.items():
            need(
                not abs(half - wrong) < 1e-6,
                f"for {n} differences and {comparisons} comparisons your half width is {half:.3f}, which is what comes "
                f"out {what}",
            )
        wanted = t_value(n, comparisons) * error
        need(
            abs(half / wanted - 1) < 1e-4,
            f"for {n} differences and {comparisons} comparisons your half width is {half:.3f}; needed: {wanted:.3f}",
        )


def decided(verdict, seed=0):
    more = seed / 10
    for mean, half, wanted in (
        (2.0 + more, 1.0, "better"),
        (0.4, 0.3, "better"),
        (-2.0 - more, 1.0, "worse"),
        (0.1, 0.5 + more, "no difference that matters"),
        (-0.1, 0.5 + more, "no difference that matters"),
        (0.1, 3.0 + more, "cannot tell"),
        (0.9, 1.0 + more, "cannot tell"),
        (-0.9, 1.0 + more, "cannot tell"),
    ):
        got = verdict(mean, half, 1.0)
        need(got == wanted, f"for {mean:+g} ± {half:g}, where 1 point matters, you say {got!r:.60}; needed: {wanted!r}")


# The picture ---------------------------------------------------------------------------------------------------------
def picture(differences, interval, verdict):
    """Each method less alone: the five seeds, the mean, its interval for this table and for the whole study."""
    import matplotlib.pyplot as plt

    methods = [name for name in TABLE if name != "alone"]
    figure, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
    axis.axvline(0, color="black", linewidth=1)
    for edge in (-1, 1):
        axis.axvline(edge, color="0.5", linestyle=":")
    for place, name in enumerate(methods):
        d = differences(ROWS, name, "alone")
        axis.plot(d, [place + 0.22] * len(d), "o", color="0.6", markersize=4)
        said = []
        for comparisons, width in ((len(methods), 4), (ALL, 1.2)):
            mean, half = (float(x) for x in interval(d, comparisons))
            axis.plot([mean - half, mean + half], [place] * 2, color="black", linewidth=width)
            said.append(verdict(mean, half, 1.0))
        axis.plot(mean, place, "D", color="white", markeredgecolor="black")
        axis.text(9.6, place, f"of 5: {said[0]}\nof {ALL}: {said[1]}", fontsize=8, va="center")
    axis.set(yticks=range(len(methods)), yticklabels=methods, xlim=(-6, 14.5), xlabel="mIoU of the ViT, less alone")
    axis.set_ylim(len(methods) - 0.4, -0.6)  # the first one on top
    return figure
