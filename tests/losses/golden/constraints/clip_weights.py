"""Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1, line 7."""

import torch

CASES = {"default": {"bound": 0.2}}


def project(p, *, bound):
    return {name: torch.clamp(w, min=-bound, max=bound) for name, w in p.items()}
