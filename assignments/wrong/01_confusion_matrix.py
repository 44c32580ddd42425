# %% swapped loses counts: the column is the truth
def confusion_matrix(prediction, target, num_classes):
    known = target != 255
    pairs = prediction[known] * num_classes + target[known]
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


# %% void_counted loses void: void becomes class 0 in place of being left out
def confusion_matrix(prediction, target, num_classes):
    target = torch.where(target == 255, 0, target)
    pairs = (target * num_classes + prediction).flatten()
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


# %% no_minlength loses absent: bincount stops at the largest number that occurs
def confusion_matrix(prediction, target, num_classes):
    known = target != 255
    pairs = target[known] * num_classes + prediction[known]
    return torch.bincount(pairs).reshape(num_classes, num_classes)
