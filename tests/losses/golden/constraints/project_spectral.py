"""Each matrix over its largest singular value where that is above the bound.

Miyato et al. 2018, arXiv:1802.05957, section 2.1, for the norm of a kernel.
"""

import torch
from problem import matrix

# The norms of the kernel and of the dense layer lie on either side of 1.5.
CASES = {"default": {}, "bound": {"bound": 1.5}}


def project(p, *, bound=1.0):
    found = dict(p)
    for name, w in p.items():
        if w.ndim >= 2:
            sigma = torch.linalg.matrix_norm(matrix(w), 2)
            found[name] = w * torch.clamp(bound / sigma, max=1)
    return found
