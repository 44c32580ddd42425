# %% padding_of_one loses grid: the padding does not grow with the rate
def aspp_branch(inputs, outputs, rate):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, dilation=rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


# %% not_dilated loses reach: an ordinary 3x3 convolution
def aspp_branch(inputs, outputs, rate):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


# %% norm_last loses order: batch norm behind ReLU
def aspp_branch(inputs, outputs, rate):
    conv = nn.Conv2d(inputs, outputs, 3, padding=rate, dilation=rate, bias=False)
    return nn.Sequential(conv, nn.ReLU(), nn.BatchNorm2d(outputs))
