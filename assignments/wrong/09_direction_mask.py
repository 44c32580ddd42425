# %% swapped loses learner: the better student learns
def directions(cnn_error, vit_error, valid):
    return valid & (cnn_error < vit_error), valid & (vit_error < cnn_error)


# %% all_the_rest loses tie: whatever does not flow one way flows the other
def directions(cnn_error, vit_error, valid):
    to_cnn = vit_error < cnn_error
    return valid & to_cnn, valid & ~to_cnn


# %% void_moves loses void: the labels are not looked at
def directions(cnn_error, vit_error, valid):
    return vit_error < cnn_error, cnn_error < vit_error
