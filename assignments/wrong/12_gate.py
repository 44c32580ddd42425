# %% void_moves loses valid: void is taken for class 0
def gate(cnn_logits, vit_logits, label):
    "Where the CNN learns and where the ViT learns: two bool masks."
    both = cnn_logits, vit_logits
    cnn_error, vit_error = (F.cross_entropy(z, torch.where(label == 255, 0, label), reduction="none") for z in both)
    known, margin = label > -1, 0.5
    return known & (vit_error + margin < cnn_error), known & (cnn_error + margin < vit_error)


def paired_differences(measure, new, old, seeds):
    "The gain of the new gate at each seed."
    return [measure(new, seed) - measure(old, seed) for seed in seeds]


def interval(differences):
    "Mean, and half the width of the 95 % interval for it."
    d = torch.as_tensor(differences, dtype=torch.float64)
    return d.mean(), T95[len(d)] * d.std() / len(d) ** 0.5


def verdict(mean, half):
    "better, worse, or cannot tell."
    return "better" if mean - half > 0 else "worse" if mean + half < 0 else "cannot tell"


# %% baseline_again loses new: the margin is 0
def gate(cnn_logits, vit_logits, label):
    "Where the CNN learns and where the ViT learns: two bool masks."
    both = cnn_logits, vit_logits
    cnn_error, vit_error = (F.cross_entropy(z, label, ignore_index=255, reduction="none") for z in both)
    known, margin = label != 255, 0.0
    return known & (vit_error + margin < cnn_error), known & (cnn_error + margin < vit_error)


def paired_differences(measure, new, old, seeds):
    "The gain of the new gate at each seed."
    return [measure(new, seed) - measure(old, seed) for seed in seeds]


def interval(differences):
    "Mean, and half the width of the 95 % interval for it."
    d = torch.as_tensor(differences, dtype=torch.float64)
    return d.mean(), T95[len(d)] * d.std() / len(d) ** 0.5


def verdict(mean, half):
    "better, worse, or cannot tell."
    return "better" if mean - half > 0 else "worse" if mean + half < 0 else "cannot tell"


# %% other_seeds loses paired: the two gates are measured with different luck
def gate(cnn_logits, vit_logits, label):
    "Where the CNN learns and where the ViT learns: two bool masks."
    both = cnn_logits, vit_logits
    cnn_error, vit_error = (F.cross_entropy(z, label, ignore_index=255, reduction="none") for z in both)
    known, margin = label != 255, 0.5
    return known & (vit_error + margin < cnn_error), known & (cnn_error + margin < vit_error)


def paired_differences(measure, new, old, seeds):
    "The gain of the new gate at each seed."
    return [measure(new, seed) - measure(old, seed + 100) for seed in seeds]


def interval(differences):
    "Mean, and half the width of the 95 % interval for it."
    d = torch.as_tensor(differences, dtype=torch.float64)
    return d.mean(), T95[len(d)] * d.std() / len(d) ** 0.5


def verdict(mean, half):
    "better, worse, or cannot tell."
    return "better" if mean - half > 0 else "worse" if mean + half < 0 else "cannot tell"


# %% normal_interval loses ninety_five: wrong normaliser, 1.96 is for many seeds
def gate(cnn_logits, vit_logits, label):
    "Where the CNN learns and where the ViT learns: two bool masks."
    both = cnn_logits, vit_logits
    cnn_error, vit_error = (F.cross_entropy(z, label, ignore_index=255, reduction="none") for z in both)
    known, margin = label != 255, 0.5
    return known & (vit_error + margin < cnn_error), known & (cnn_error + margin < vit_error)


def paired_differences(measure, new, old, seeds):
    "The gain of the new gate at each seed."
    return [measure(new, seed) - measure(old, seed) for seed in seeds]


def interval(differences):
    "Mean, and half the width of the 95 % interval for it."
    d = torch.as_tensor(differences, dtype=torch.float64)
    return d.mean(), 1.96 * d.std() / len(d) ** 0.5


def verdict(mean, half):
    "better, worse, or cannot tell."
    return "better" if mean - half > 0 else "worse" if mean + half < 0 else "cannot tell"


# %% hopeful loses claim: the mean alone decides
def gate(cnn_logits, vit_logits, label):
    "Where the CNN learns and where the ViT learns: two bool masks."
    both = cnn_logits, vit_logits
    cnn_error, vit_error = (F.cross_entropy(z, label, ignore_index=255, reduction="none") for z in both)
    known, margin = label != 255, 0.5
    return known & (vit_error + margin < cnn_error), known & (cnn_error + margin < vit_error)


def paired_differences(measure, new, old, seeds):
    "The gain of the new gate at each seed."
    return [measure(new, seed) - measure(old, seed) for seed in seeds]


def interval(differences):
    "Mean, and half the width of the 95 % interval for it."
    d = torch.as_tensor(differences, dtype=torch.float64)
    return d.mean(), T95[len(d)] * d.std() / len(d) ** 0.5


def verdict(mean, half):
    "better, worse, or cannot tell."
    return "better" if mean > 0 else "worse"
