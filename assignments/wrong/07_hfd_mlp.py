# %% leak loses teacher: no stop-gradient, the CNN is pulled along
def conv_mlp(inputs, outputs):
    hidden = 2 * inputs
    local = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
    return nn.Sequential(nn.Conv2d(inputs, hidden, 1), local, nn.GELU(), nn.Conv2d(hidden, outputs, 1))


def hfd_to_vit(translated, cnn_low, valid):
    teacher = F.layer_norm(cnn_low.movedim(1, -1), cnn_low.shape[1:2]).movedim(-1, 1)
    return (1 - F.cosine_similarity(translated, teacher, dim=1))[valid].mean()


# %% detached_learner loses teacher: the stop-gradient on the wrong side, nobody learns what they should
def conv_mlp(inputs, outputs):
    hidden = 2 * inputs
    local = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
    return nn.Sequential(nn.Conv2d(inputs, hidden, 1), local, nn.GELU(), nn.Conv2d(hidden, outputs, 1))


def hfd_to_vit(translated, cnn_low, valid):
    teacher = F.layer_norm(cnn_low.movedim(1, -1), cnn_low.shape[1:2]).movedim(-1, 1)
    return (1 - F.cosine_similarity(translated.detach(), teacher, dim=1))[valid].mean()


# %% over_all_places loses void: wrong normaliser, the void places are in the count
def conv_mlp(inputs, outputs):
    hidden = 2 * inputs
    local = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
    return nn.Sequential(nn.Conv2d(inputs, hidden, 1), local, nn.GELU(), nn.Conv2d(hidden, outputs, 1))


def hfd_to_vit(translated, cnn_low, valid):
    teacher = F.layer_norm(cnn_low.movedim(1, -1), cnn_low.shape[1:2]).movedim(-1, 1).detach()
    return ((1 - F.cosine_similarity(translated, teacher, dim=1)) * valid).mean()


# %% no_neighbours loses layers: a plain MLP, which sees one place at a time
def conv_mlp(inputs, outputs):
    hidden = 2 * inputs
    return nn.Sequential(nn.Conv2d(inputs, hidden, 1), nn.GELU(), nn.Conv2d(hidden, outputs, 1))


def hfd_to_vit(translated, cnn_low, valid):
    teacher = F.layer_norm(cnn_low.movedim(1, -1), cnn_low.shape[1:2]).movedim(-1, 1).detach()
    return (1 - F.cosine_similarity(translated, teacher, dim=1))[valid].mean()


# %% not_normed loses value: the teacher's places are not brought to mean 0
def conv_mlp(inputs, outputs):
    hidden = 2 * inputs
    local = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
    return nn.Sequential(nn.Conv2d(inputs, hidden, 1), local, nn.GELU(), nn.Conv2d(hidden, outputs, 1))


def hfd_to_vit(translated, cnn_low, valid):
    return (1 - F.cosine_similarity(translated, cnn_low.detach(), dim=1))[valid].mean()
