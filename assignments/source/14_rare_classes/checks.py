"""What assignment 14 is checked for; each check takes your function and raises Wrong with one line."""

import torch

from checking import need, need_close, need_tensor, random_logits

STREET = {  # class: share of the pixels, how strongly the teacher knows it
    "sky": (0.38, 6.0),
    "road": (0.36, 5.5),
    "building": (0.20, 4.5),
    "person": (0.04, 3.0),
    "pole": (0.02, 2.4),
}


def chances(seed, pixels=60, classes=5):
    """Probabilities of a row of pixels, in float64."""
    return random_logits(seed, pixels, classes).softmax(1)


def counted(pseudo_labels, given, bars):
    got = pseudo_labels(given, bars)
    need_tensor(got, (given.shape[1],), "your count")
    need(not got.dtype.is_floating_point, f"your count holds {got.dtype}; needed: torch.int64")
    return got


def counts(pseudo_labels, seed=0):
    by_hand = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]]).double()
    for bars, wanted in (([0.75, 0.75], [1, 0]), ([0.75, 0.5625], [1, 1])):
        need_close(
            counted(pseudo_labels, by_hand, torch.tensor(bars).double()),
            torch.tensor(wanted),
            f"the example worked by hand, with bars {bars}: the count of class",
        )
    given = chances(seed)
    top, named = given.max(1)
    for bars in (torch.full((5,), 0.25), torch.linspace(0.2, 0.9, 5)):
        bars = bars.double()
        wanted = torch.stack([((named == k) & (top >= bars[k])).sum() for k in range(5)])
        got, any_class = counted(pseudo_labels, given, bars), (given >= bars).sum(0)
        need(
            not (got.equal(any_class) and not got.equal(wanted)),
            "you count each class that reaches its bar; needed: only the likeliest class of a pixel",
        )
        need_close(got, wanted, f"with bars {[round(x, 2) for x in bars.tolist()]} the count of class")


def on_the_bar(pseudo_labels, seed=0):
    given = torch.tensor([[0.75, 0.25], [0.25, 0.75], [0.5 + seed / 64, 0.5 - seed / 64]]).double()
    got = counted(pseudo_labels, given, torch.tensor([0.75, 0.75]).double())
    need(
        got.tolist() == [1, 1],
        f"of two pixels whose probability is the bar itself, 0.75, you count {got.tolist()}; needed: [1, 1]",
    )


def own_bars(class_bars, seed=0):
    by_hand = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]]).double()
    got = class_bars(by_hand, 0.75)
    wanted = torch.tensor([0.75, 0.5625]).double()
    need_close(got, wanted, "the example worked by hand, with bar 0.75: the bar of class")
    given = chances(seed)
    top, named = given.max(1)
    need(len(named.unique()) == 5, "the check is broken: not every class is named")
    sure = torch.stack([top[named == k].mean() for k in range(5)])
    need_close(class_bars(given, 0.9), 0.9 * sure / sure.max(), "with bar 0.9 the bar of class")


def unnamed(class_bars, seed=0):
    gone = seed % 5
    given = chances(seed)
    given[:, gone] = 0
    got = class_bars(given / given.sum(1, keepdim=True), 0.9)
    need_tensor(got, (5,), "your bars")
    need(
        abs(float(got[gone]) - 0.9) < 1e-6,
        f"class {gone} is named nowhere, and its bar is {float(got[gone]):.3g}; needed: the bar itself, 0.9",
    )


# The picture ---------------------------------------------------------------------------------------------------------
def teacher(pixels=20_000):
    """A made-up teacher of a street: its probabilities, and the truth."""
    random = torch.Generator().manual_seed(0)
    shares, strengths = torch.tensor(list(STREET.values())).double().T
    truth = torch.multinomial(shares, pixels, replacement=True, generator=random)
    noise = 1.3 * torch.randn(pixels, len(STREET), generator=random, dtype=torch.float64)
    right = torch.nn.functional.one_hot(truth, len(STREET)) * strengths[truth][:, None]
    return (right + noise + shares.log() / 5).softmax(1), truth


def picture(pseudo_labels, class_bars):
    """The share of each named class that counts under one bar and under a bar a class, and how many are right."""
    import matplotlib.pyplot as plt

    given, truth = teacher()
    named, everything = given.argmax(1), torch.zeros(len(STREET)).double()
    figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
    all_named = counted(pseudo_labels, given, everything)
    rules = {"one bar, 0.9": torch.full((len(STREET),), 0.9).double(), "a bar a class": class_bars(given, 0.9)}
    words = []
    for number, (name, bars) in enumerate(rules.items()):
        need_tensor(bars, (len(STREET),), "your bars")
        got = counted(pseudo_labels, given, bars)
        good = counted(pseudo_labels, given[named == truth], bars)
        places = torch.arange(len(STREET)) + 0.4 * number - 0.2
        shares, grey = (100 * got / all_named).numpy(), ("0.7", "0.3")[number]
        shown = axis.bar(places.numpy(), shares, 0.38, label=name, color=grey)
        axis.bar_label(shown, [str(x) for x in got.tolist()], fontsize=8)
        words.append(f"{100 * good[-1] / got[-1].clamp(min=1):.0f} % ({name})")
    axis.set(xticks=range(len(STREET)), ylabel="% of the pixels named so", ylim=(0, 112))
    axis.set_xlabel("right among the poles that count: " + " and ".join(words))
    axis.set_xticklabels(STREET)
    axis.legend(loc="upper right")
    return figure
