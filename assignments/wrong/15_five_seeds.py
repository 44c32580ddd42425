# %% as_they_come loses paired, missing: the first row of one with the first of the other
def differences(rows, method, baseline):
    new, old = ([row["miou"] for row in rows if row["method"] == name] for name in (method, baseline))
    return [a - b for a, b in zip(new, old)]


def interval(d, comparisons):
    d = torch.tensor(d, dtype=torch.float64)
    return d.mean(), t_value(len(d), comparisons) * d.std() / len(d) ** 0.5


def verdict(mean, half, matters):
    if mean - half > 0:
        return "better"
    if mean + half < 0:
        return "worse"
    return "no difference that matters" if abs(mean) + half < matters else "cannot tell"


# %% seed_of_one loses missing: the seeds of the method, whether the baseline has them or not
def differences(rows, method, baseline):
    new, old = ({row["seed"]: row["miou"] for row in rows if row["method"] == name} for name in (method, baseline))
    return [new[seed] - old[seed] for seed in sorted(new)]


def interval(d, comparisons):
    d = torch.tensor(d, dtype=torch.float64)
    return d.mean(), t_value(len(d), comparisons) * d.std() / len(d) ** 0.5


def verdict(mean, half, matters):
    if mean - half > 0:
        return "better"
    if mean + half < 0:
        return "worse"
    return "no difference that matters" if abs(mean) + half < matters else "cannot tell"


# %% one_comparison loses wide: as if nothing else had been tried
def differences(rows, method, baseline):
    new, old = ({row["seed"]: row["miou"] for row in rows if row["method"] == name} for name in (method, baseline))
    return [new[seed] - old[seed] for seed in sorted(new.keys() & old.keys())]


def interval(d, comparisons):
    d = torch.tensor(d, dtype=torch.float64)
    return d.mean(), t_value(len(d), 1) * d.std() / len(d) ** 0.5


def verdict(mean, half, matters):
    if mean - half > 0:
        return "better"
    if mean + half < 0:
        return "worse"
    return "no difference that matters" if abs(mean) + half < matters else "cannot tell"


# %% spread_of_seeds loses wide: the standard deviation in place of that of the mean
def differences(rows, method, baseline):
    new, old = ({row["seed"]: row["miou"] for row in rows if row["method"] == name} for name in (method, baseline))
    return [new[seed] - old[seed] for seed in sorted(new.keys() & old.keys())]


def interval(d, comparisons):
    d = torch.tensor(d, dtype=torch.float64)
    return d.mean(), t_value(len(d), comparisons) * d.std()


def verdict(mean, half, matters):
    if mean - half > 0:
        return "better"
    if mean + half < 0:
        return "worse"
    return "no difference that matters" if abs(mean) + half < matters else "cannot tell"


# %% no_evidence loses decided: whatever is not clear is called no difference
def differences(rows, method, baseline):
    new, old = ({row["seed"]: row["miou"] for row in rows if row["method"] == name} for name in (method, baseline))
    return [new[seed] - old[seed] for seed in sorted(new.keys() & old.keys())]


def interval(d, comparisons):
    d = torch.tensor(d, dtype=torch.float64)
    return d.mean(), t_value(len(d), comparisons) * d.std() / len(d) ** 0.5


def verdict(mean, half, matters):
    if mean - half > 0:
        return "better"
    return "worse" if mean + half < 0 else "no difference that matters"


# %% mean_decides loses decided: the interval is not looked at
def differences(rows, method, baseline):
    new, old = ({row["seed"]: row["miou"] for row in rows if row["method"] == name} for name in (method, baseline))
    return [new[seed] - old[seed] for seed in sorted(new.keys() & old.keys())]


def interval(d, comparisons):
    d = torch.tensor(d, dtype=torch.float64)
    return d.mean(), t_value(len(d), comparisons) * d.std() / len(d) ** 0.5


def verdict(mean, half, matters):
    if abs(mean) < matters:
        return "no difference that matters"
    return "better" if mean > 0 else "worse"
