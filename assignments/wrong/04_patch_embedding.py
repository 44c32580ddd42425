# %% reshaped loses order: reshape does not move the channels to the end
def patch_embedding(image, weight, bias, stride):
    x = F.conv2d(image, weight, bias, stride, padding=weight.shape[-1] // 2)
    return x.reshape(len(x), -1, x.shape[1]), x.shape[-2:]


# %% no_padding loses grid, order: the first window starts at the corner in place of lying around it
def patch_embedding(image, weight, bias, stride):
    x = F.conv2d(image, weight, bias, stride)
    return x.flatten(2).transpose(1, 2), x.shape[-2:]


# %% patches loses order, overlap: windows as wide as the stride, as in the first ViT
def patch_embedding(image, weight, bias, stride):
    x = F.conv2d(image, weight[..., :stride, :stride], bias, stride)
    return x.flatten(2).transpose(1, 2), x.shape[-2:]
