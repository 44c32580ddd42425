# %% any_class loses counts: a pixel counts for each class that reaches its bar
def pseudo_labels(chances, bars):
    return (chances >= bars).sum(0)


def class_bars(chances, bar):
    (top, named), classes = chances.max(1), chances.shape[1]
    count = torch.bincount(named, minlength=classes)
    sure = torch.bincount(named, weights=top, minlength=classes) / count.clamp(min=1)
    return torch.where(count > 0, bar * sure / sure.max(), bar)


# %% above_the_bar loses on_the_bar: equal is not enough
def pseudo_labels(chances, bars):
    top, named = chances.max(1)
    return torch.bincount(named[top > bars[named]], minlength=len(bars))


def class_bars(chances, bar):
    (top, named), classes = chances.max(1), chances.shape[1]
    count = torch.bincount(named, minlength=classes)
    sure = torch.bincount(named, weights=top, minlength=classes) / count.clamp(min=1)
    return torch.where(count > 0, bar * sure / sure.max(), bar)


# %% mean_over_all loses own_bars, unnamed: how often a class is likely, in place of how sure it is
def pseudo_labels(chances, bars):
    top, named = chances.max(1)
    return torch.bincount(named[top >= bars[named]], minlength=len(bars))


def class_bars(chances, bar):
    sure = chances.mean(0)
    return bar * sure / sure.max()


# %% nothing_by_nothing loses unnamed: 0 / 0 is NaN
def pseudo_labels(chances, bars):
    top, named = chances.max(1)
    return torch.bincount(named[top >= bars[named]], minlength=len(bars))


def class_bars(chances, bar):
    top, named = chances.max(1)
    sure = torch.stack([top[named == k].mean() for k in range(chances.shape[1])])
    return bar * sure / sure.nan_to_num().max()


# %% absolute loses own_bars: the bar is not divided by the surest class
def pseudo_labels(chances, bars):
    top, named = chances.max(1)
    return torch.bincount(named[top >= bars[named]], minlength=len(bars))


def class_bars(chances, bar):
    (top, named), classes = chances.max(1), chances.shape[1]
    count = torch.bincount(named, minlength=classes)
    sure = torch.bincount(named, weights=top, minlength=classes) / count.clamp(min=1)
    return torch.where(count > 0, bar * sure, bar)
