"""Kodali et al. 2017, arXiv:1705.07215, with noise of half the data's deviation."""

from problem import DRAW, REAL, norms

CASES = {"default": {}, "both": {"scale": 0.2, "target": 0.5}}


def value(p, *, scale=0.5, target=1.0):
    near = REAL + scale * REAL.std(correction=0) * DRAW["noise"]
    return (norms(p, near) - target).pow(2).mean()
