"""Wei et al. 2018, arXiv:1803.01541, as the authors' code has it.

There the weight 2 is inside the maximum, margin included.
"""

import torch
from problem import DRAW, REAL, critic

CASES = {
    "default": {},
    "margin": {"margin": 0.2},
    "both": {"margin": 0.2, "feature_weight": 0.3},
}


def value(p, *, margin=0.0, feature_weight=0.1):
    (f1, h1), (f2, h2) = (
        critic(p, REAL, DRAW[f"mask_{name}"]) for name in ("first", "second")
    )
    apart = 2.0 * (f1 - f2).pow(2) + 2.0 * feature_weight * (h1 - h2).pow(2).mean(1)
    return torch.clamp(apart - 2.0 * margin, min=0).mean() / 2.0
