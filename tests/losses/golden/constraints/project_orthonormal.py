"""Fan, Hoffman 1955, theorem 1: the polar factor is the nearest orthonormal matrix."""

import torch
from problem import matrix

CASES = {"default": {}}


def project(p):
    found = dict(p)
    for name, w in p.items():
        if w.ndim >= 2:
            # W (W^T W)^(-1/2), for matrices of full rank with more rows than columns.
            values, vectors = torch.linalg.eigh(matrix(w).T @ matrix(w))
            inverse_root = vectors @ torch.diag(values.rsqrt()) @ vectors.T
            found[name] = (matrix(w) @ inverse_root).reshape(w.shape)
    return found
