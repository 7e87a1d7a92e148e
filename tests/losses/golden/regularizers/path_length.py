"""Karras et al. 2020, arXiv:1912.04958, equation 4, from the whole Jacobian."""

import torch
from problem import DRAW, LATENT, REAL, generator

CASES = {"default": {}, "later": {}, "decay": {"decay": 0.3}}
STATES = {"default": {"mean": 0.0}, "later": {"mean": 0.8}, "decay": {"mean": 0.8}}


def value(p, state, *, decay=0.01):
    lengths = []
    for z, y in zip(LATENT, DRAW["y"], strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda z: generator(p, z[None]).flatten(), z, create_graph=True
        )
        pixels = REAL.shape[1] * REAL.shape[2]
        lengths.append((jacobian.T @ (y.flatten() / pixels**0.5)).norm())
    lengths = torch.stack(lengths)
    before = state["mean"]
    mean = before + decay * (lengths.mean().detach() - before)
    return (lengths - mean).pow(2).mean()
