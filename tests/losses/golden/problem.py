"""The problem of the reference values in PyTorch: two small networks and their data.

A maker of a golden file imports from here what its formula needs; nothing of this
package is involved. Everything is float64.
"""

from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
torch.set_default_dtype(torch.float64)
with np.load(HERE / "draws.npz") as file:
    INPUT = {name: torch.from_numpy(file[name]) for name in file.files}
# What JAX draws from the tests' key, by name; make_draws.py says how.
DRAW = {k.removeprefix("draw/"): v for k, v in INPUT.items() if k.startswith("draw/")}
REAL, LATENT = INPUT["real"], INPUT["latent"]


def params_of(player):
    return {
        k.removeprefix(f"{player}/"): v.clone().requires_grad_()
        for k, v in INPUT.items()
        if k.startswith(f"{player}/")
    }


def critic(p, x, mask=None):
    """Scores [B] and the input [B, F] of the last layer, dropout by mask."""
    kernel = p["kernel"].permute(3, 2, 0, 1)  # HWIO to OIHW
    h = torch.nn.functional.conv2d(
        x.permute(0, 3, 1, 2), kernel, p["offset"], padding=1
    )
    h = torch.tanh(h).permute(0, 2, 3, 1).flatten(1)
    h = torch.tanh(h @ p["dense"] + p["bias"])
    h = h if mask is None else h * mask
    return h @ p["out"] + p["level"], h


def generator(p, z):
    h = torch.tanh(z @ p["dense"] + p["bias"])
    return torch.tanh(h @ p["out"] + p["offset"]).reshape(-1, *REAL.shape[1:])


def input_gradients(p, x):
    """Gradient of each score with respect to its own image, one at a time."""
    rows = []
    for one in x:
        one = one.detach().clone().requires_grad_()
        score = critic(p, one[None])[0][0]
        rows.append(torch.autograd.grad(score, one, create_graph=True)[0])
    return torch.stack(rows)


def norms(p, x):
    return input_gradients(p, x).flatten(1).pow(2).sum(1).sqrt()


FAKE = generator(params_of("generator"), LATENT).detach()
BETWEEN = (1 - DRAW["epsilon"]) * REAL + DRAW["epsilon"] * FAKE


def cross_entropy(real, fake, label_smoothing=0.0):
    """The cross-entropy whose label of real examples is 1 - label_smoothing."""
    of_real = torch.log(torch.sigmoid(real)), torch.log(1 - torch.sigmoid(real))
    real_part = (1 - label_smoothing) * of_real[0] + label_smoothing * of_real[1]
    return -real_part.mean() - torch.log(1 - torch.sigmoid(fake)).mean()


def matrix(w):
    """A kernel as the matrix [-1, O] of its output channels."""
    return w.reshape(-1, w.shape[-1])


def check_both_sides():
    """The problem has examples on either side of each corner of a loss."""
    p = params_of("critic")
    (real, _), (fake, _) = critic(p, REAL), critic(p, FAKE)
    for corner in (norms(p, BETWEEN) - 1.2, real - 1, fake + 1):
        assert corner.min() < 0 < corner.max(), corner
