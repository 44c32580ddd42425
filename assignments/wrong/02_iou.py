# %% twice_the_hits loses iou: the union counts the intersection twice
def scores(matrix):
    matrix = matrix.double()
    hits, truth, guess = matrix.diag(), matrix.sum(1), matrix.sum(0)
    iou = hits / (truth + guess)
    return iou, iou.nanmean()


# %% recall loses iou: wrong normaliser, the truth alone
def scores(matrix):
    matrix = matrix.double()
    iou = matrix.diag() / matrix.sum(1)
    return iou, iou.nanmean()


# %% zero_for_nowhere loses nowhere, mean: a class that is nowhere counts as 0
def scores(matrix):
    matrix = matrix.double()
    hits, truth, guess = matrix.diag(), matrix.sum(1), matrix.sum(0)
    iou = hits / (truth + guess - hits).clamp(min=1)
    return iou, iou.mean()
