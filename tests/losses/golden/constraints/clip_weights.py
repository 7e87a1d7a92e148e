"""Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1, line 7."""

import torch

CASES = {
    "default": {"bound": 0.2},
    "normalization": {"bound": 0.2, "normalization": False},  # there is none
}


def project(p, *, bound, normalization=True):
    return {name: torch.clamp(w, min=-bound, max=bound) for name, w in p.items()}
