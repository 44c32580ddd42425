# %% raw_logits loses teacher, better: the true class's logit is not subtracted
def min_logit(cnn_logits, vit_logits, label):
    return torch.minimum(cnn_logits.detach(), vit_logits.detach())


# %% largest loses teacher, better: the larger in place of the smaller logit
def min_logit(cnn_logits, vit_logits, label):
    index = torch.where(label == 255, 0, label)[:, None]
    cnn, vit = (z.detach() - z.detach().gather(1, index) for z in (cnn_logits, vit_logits))
    return torch.maximum(cnn, vit)


# %% void_crashes loses void: label 255 is no class to gather
def min_logit(cnn_logits, vit_logits, label):
    cnn, vit = (z.detach() - z.detach().gather(1, label[:, None]) for z in (cnn_logits, vit_logits))
    return torch.minimum(cnn, vit)


# %% leak loses constant: no stop-gradient
def min_logit(cnn_logits, vit_logits, label):
    index = torch.where(label == 255, 0, label)[:, None]
    cnn, vit = (z - z.gather(1, index) for z in (cnn_logits, vit_logits))
    return torch.minimum(cnn, vit)
