# %% not_mirrored_back loses chance, good: the other view is read at the mirrored place
def doubt(logits, flipped):
    named = logits.argmax(1, keepdim=True)
    return 1 - flipped.softmax(1).gather(1, named)[:, 0]


def auc(cnn_doubt, vit_doubt, cnn_right, vit_right):
    score = vit_doubt - cnn_doubt
    ahead = score[cnn_right & ~vit_right][:, None] - score[vit_right & ~cnn_right][None]
    return ((ahead > 0).double() + (ahead == 0).double() / 2).mean()


# %% confidence_alone loses good: the mirrored image is not looked at
def doubt(logits, flipped):
    return 1 - logits.softmax(1).amax(1)


def auc(cnn_doubt, vit_doubt, cnn_right, vit_right):
    score = vit_doubt - cnn_doubt
    ahead = score[cnn_right & ~vit_right][:, None] - score[vit_right & ~cnn_right][None]
    return ((ahead > 0).double() + (ahead == 0).double() / 2).mean()


# %% upside_down loses chance, good: certainty in place of doubt
def doubt(logits, flipped):
    named = logits.argmax(1, keepdim=True)
    return flipped.flip(-1).softmax(1).gather(1, named)[:, 0]


def auc(cnn_doubt, vit_doubt, cnn_right, vit_right):
    score = vit_doubt - cnn_doubt
    ahead = score[cnn_right & ~vit_right][:, None] - score[vit_right & ~cnn_right][None]
    return ((ahead > 0).double() + (ahead == 0).double() / 2).mean()


# %% exp_by_hand loses form: large logits overflow
def doubt(logits, flipped):
    odds = flipped.flip(-1).float().exp()
    named = logits.argmax(1, keepdim=True)
    return 1 - (odds / odds.sum(1, keepdim=True)).gather(1, named)[:, 0]


def auc(cnn_doubt, vit_doubt, cnn_right, vit_right):
    score = vit_doubt - cnn_doubt
    ahead = score[cnn_right & ~vit_right][:, None] - score[vit_right & ~cnn_right][None]
    return ((ahead > 0).double() + (ahead == 0).double() / 2).mean()


# %% ties_lose loses ties: equal scores count as wrong
def doubt(logits, flipped):
    named = logits.argmax(1, keepdim=True)
    return 1 - flipped.flip(-1).softmax(1).gather(1, named)[:, 0]


def auc(cnn_doubt, vit_doubt, cnn_right, vit_right):
    score = vit_doubt - cnn_doubt
    ahead = score[cnn_right & ~vit_right][:, None] - score[vit_right & ~cnn_right][None]
    return (ahead > 0).double().mean()


# %% all_pixels loses pairs: where both are right counts as well
def doubt(logits, flipped):
    named = logits.argmax(1, keepdim=True)
    return 1 - flipped.flip(-1).softmax(1).gather(1, named)[:, 0]


def auc(cnn_doubt, vit_doubt, cnn_right, vit_right):
    score = vit_doubt - cnn_doubt
    ahead = score[cnn_right][:, None] - score[vit_right][None]
    return ((ahead > 0).double() + (ahead == 0).double() / 2).mean()
