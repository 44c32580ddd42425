# %% scaled_by_width loses several_heads: the square root of all channels in place of one head's
def efficient_attention(tokens, grid, wq, wk, wv, heads, reduction):
    small = F.avg_pool2d(tokens.transpose(1, 2).unflatten(2, tuple(grid)), reduction).flatten(2).transpose(1, 2)
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (tokens @ wq, small @ wk, small @ wv))
    weights = (q @ k.transpose(2, 3) / tokens.shape[-1] ** 0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


# %% every_fourth_token loses reduced: thinned out along the sequence in place of averaged over windows of the map
def efficient_attention(tokens, grid, wq, wk, wv, heads, reduction):
    small = tokens[:, :: reduction**2]
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (tokens @ wq, small @ wk, small @ wv))
    weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


# %% heads_mixed_up loses several_heads: reshape cuts the sequence, not the channels, into heads
def efficient_attention(tokens, grid, wq, wk, wv, heads, reduction):
    small = F.avg_pool2d(tokens.transpose(1, 2).unflatten(2, tuple(grid)), reduction).flatten(2).transpose(1, 2)
    width = tokens.shape[-1] // heads
    q, k, v = (x.reshape(len(x), heads, -1, width) for x in (tokens @ wq, small @ wk, small @ wv))
    weights = (q @ k.transpose(2, 3) / width**0.5).softmax(-1)
    return (weights @ v).reshape(tokens.shape)


# %% softmax_over_queries loses plain, several_heads, reduced: wrong normaliser, the weights of a key sum to 1
def efficient_attention(tokens, grid, wq, wk, wv, heads, reduction):
    small = F.avg_pool2d(tokens.transpose(1, 2).unflatten(2, tuple(grid)), reduction).flatten(2).transpose(1, 2)
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (tokens @ wq, small @ wk, small @ wv))
    weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-2)
    return (weights @ v).transpose(1, 2).flatten(2)
