# %% leak loses teacher: no stop-gradient, the better student is pulled towards the worse one
def pixel_bsd_to_cnn(cnn_logits, vit_logits, label, temperature):
    both = cnn_logits, vit_logits
    e_cnn, e_vit = (F.cross_entropy(z.detach(), label, ignore_index=255, reduction="none") for z in both)
    mask = (label != 255) & (e_vit < e_cnn)
    log_cnn, log_vit = ((z / temperature).log_softmax(1) for z in both)
    kl = (log_vit.exp() * (log_vit - log_cnn)).sum(1)
    return temperature**2 * (kl * mask).sum() / mask.sum().clamp(min=1)


# %% void_counted loses void: void is taken for the last class
def pixel_bsd_to_cnn(cnn_logits, vit_logits, label, temperature):
    vit_logits = vit_logits.detach()
    label = label.clamp(max=cnn_logits.shape[1] - 1)
    both = cnn_logits, vit_logits
    e_cnn, e_vit = (F.cross_entropy(z.detach(), label, ignore_index=255, reduction="none") for z in both)
    mask = (label != 255) & (e_vit < e_cnn)
    log_cnn, log_vit = ((z / temperature).log_softmax(1) for z in both)
    kl = (log_vit.exp() * (log_vit - log_cnn)).sum(1)
    return temperature**2 * (kl * mask).sum() / mask.sum().clamp(min=1)


# %% over_all_pixels loses value: wrong normaliser, all labelled pixels in place of those that are taught
def pixel_bsd_to_cnn(cnn_logits, vit_logits, label, temperature):
    vit_logits = vit_logits.detach()
    both = cnn_logits, vit_logits
    e_cnn, e_vit = (F.cross_entropy(z.detach(), label, ignore_index=255, reduction="none") for z in both)
    mask = (label != 255) & (e_vit < e_cnn)
    log_cnn, log_vit = ((z / temperature).log_softmax(1) for z in both)
    kl = (log_vit.exp() * (log_vit - log_cnn)).sum(1)
    return temperature**2 * (kl * mask).sum() / (label != 255).sum()


# %% other_way_round loses value: KL(CNN || ViT)
def pixel_bsd_to_cnn(cnn_logits, vit_logits, label, temperature):
    vit_logits = vit_logits.detach()
    both = cnn_logits, vit_logits
    e_cnn, e_vit = (F.cross_entropy(z.detach(), label, ignore_index=255, reduction="none") for z in both)
    mask = (label != 255) & (e_vit < e_cnn)
    log_cnn, log_vit = ((z / temperature).log_softmax(1) for z in both)
    kl = (log_cnn.exp() * (log_cnn - log_vit)).sum(1)
    return temperature**2 * (kl * mask).sum() / mask.sum().clamp(min=1)


# %% no_square loses softened: T² is missing
def pixel_bsd_to_cnn(cnn_logits, vit_logits, label, temperature):
    vit_logits = vit_logits.detach()
    both = cnn_logits, vit_logits
    e_cnn, e_vit = (F.cross_entropy(z.detach(), label, ignore_index=255, reduction="none") for z in both)
    mask = (label != 255) & (e_vit < e_cnn)
    log_cnn, log_vit = ((z / temperature).log_softmax(1) for z in both)
    kl = (log_vit.exp() * (log_vit - log_cnn)).sum(1)
    return (kl * mask).sum() / mask.sum().clamp(min=1)


# %% nothing_by_nothing loses nobody: the mean over no pixel is NaN
def pixel_bsd_to_cnn(cnn_logits, vit_logits, label, temperature):
    vit_logits = vit_logits.detach()
    both = cnn_logits, vit_logits
    e_cnn, e_vit = (F.cross_entropy(z.detach(), label, ignore_index=255, reduction="none") for z in both)
    mask = (label != 255) & (e_vit < e_cnn)
    log_cnn, log_vit = ((z / temperature).log_softmax(1) for z in both)
    kl = (log_vit.exp() * (log_vit - log_cnn)).sum(1)
    return temperature**2 * kl[mask].mean()
