"""Gulrajani et al. 2017, arXiv:1704.00028, equation 3; one-sided: arXiv:1709.08894."""

import torch
from problem import BETWEEN, norms

CASES = {
    "default": {},
    "target": {"target": 1.2},
    "one_sided": {"target": 1.2, "one_sided": True},
}


def value(p, *, target=1, one_sided=False):
    excess = norms(p, BETWEEN) - target
    if one_sided:
        excess = torch.clamp(excess, min=0)
    return excess.pow(2).mean()
