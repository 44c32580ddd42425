# %% not_centred loses centred: the means stay in
def linear_cka(a, b):
    norm = torch.linalg.matrix_norm
    return norm(a.T @ b) ** 2 / (norm(a.T @ a) * norm(b.T @ b))


# %% not_squared loses value, same: the numerator is not squared
def linear_cka(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    norm = torch.linalg.matrix_norm
    return norm(a.T @ b) / (norm(a.T @ a) * norm(b.T @ b))


# %% other_norms loses value, same: wrong normaliser, the squared lengths of the features
def linear_cka(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    norm = torch.linalg.matrix_norm
    return norm(a.T @ b) ** 2 / (norm(a) ** 2 * norm(b) ** 2)
