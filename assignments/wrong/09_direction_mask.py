# %% swapped loses predict, learner: the better student learns
def prediction():
    return ["CV--", "V-VC"]


def directions(cnn_error, vit_error, valid):
    return valid & (cnn_error < vit_error), valid & (vit_error < cnn_error)


# %% all_the_rest loses predict, tie: whatever does not flow one way flows the other
def prediction():
    return ["VCV-", "CVCV"]


def directions(cnn_error, vit_error, valid):
    to_cnn = vit_error < cnn_error
    return valid & to_cnn, valid & ~to_cnn


# %% void_moves loses void: the labels are not looked at
def prediction():
    return ["VC--", "C-CV"]


def directions(cnn_error, vit_error, valid):
    return vit_error < cnn_error, cnn_error < vit_error
