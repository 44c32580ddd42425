# %% void_counted loses void: wrong normaliser, all pixels of the window
def region_error(error, label, size):
    known = label != 255
    mean = F.avg_pool2d(torch.where(known, error, 0.0), size, ceil_mode=True)
    return mean, F.avg_pool2d(known.to(error.dtype), size, ceil_mode=True) > 0


# %% edge_dropped loses edge: windows at the edge fall away
def region_error(error, label, size):
    known = label != 255
    total = F.avg_pool2d(torch.where(known, error, 0.0), size, divisor_override=1)
    count = F.avg_pool2d(known.to(error.dtype), size, divisor_override=1)
    return total / count.clamp(min=1), count > 0


# %% nothing_by_nothing loses empty: 0 / 0 is NaN
def region_error(error, label, size):
    known = label != 255
    total = F.avg_pool2d(torch.where(known, error, 0.0), size, ceil_mode=True, divisor_override=1)
    count = F.avg_pool2d(known.to(error.dtype), size, ceil_mode=True, divisor_override=1)
    return total / count, count > 0
