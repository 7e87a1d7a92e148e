"""Writes ``golden.npz``: losses and gradients by PyTorch, from the papers' equations.

Run it after ``make_draws.py``, with PyTorch installed and nothing of this
package; the tests that read the file need no PyTorch. Every quantity is computed
in float64 by autograd, the gradient of a gradient by ``create_graph``.

    python tests/losses/golden/make_golden.py
"""

from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
torch.set_default_dtype(torch.float64)
INPUT = {k: torch.from_numpy(v) for k, v in np.load(HERE / "draws.npz").items()}
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


def log_sigmoid(t):
    return torch.log(torch.sigmoid(t))


FAKE = generator(params_of("generator"), LATENT).detach()
BETWEEN = (1 - DRAW["epsilon"]) * REAL + DRAW["epsilon"] * FAKE


def penalties(p):
    yield "gradient_penalty", (norms(p, BETWEEN) - 1).pow(2).mean()
    yield "gradient_penalty_target", (norms(p, BETWEEN) - 1.2).pow(2).mean()
    excess = torch.clamp(norms(p, BETWEEN) - 1.2, min=0)
    yield "gradient_penalty_one_sided", excess.pow(2).mean()
    yield "r1", input_gradients(p, REAL).pow(2).flatten(1).sum(1).mean() / 2
    yield "r2", input_gradients(p, FAKE).pow(2).flatten(1).sum(1).mean() / 2
    near = REAL + 0.5 * REAL.std(correction=0) * DRAW["noise"]
    yield "dragan", (norms(p, near) - 1).pow(2).mean()
    yield "divergence", norms(p, BETWEEN).pow(6).mean()
    yield "divergence_power", norms(p, BETWEEN).pow(2.5).mean()
    ends = norms(p, REAL).pow(6).mean() + norms(p, FAKE).pow(6).mean()
    yield "divergence_ends", ends / 2
    (f1, h1), (f2, h2) = (
        critic(p, REAL, DRAW[f"mask_{name}"]) for name in ("first", "second")
    )
    # The authors' code has the weight 2 inside the maximum, margin included.
    for name, margin in (("consistency", 0.0), ("consistency_margin", 0.4)):
        apart = 2.0 * (f1 - f2).pow(2) + 0.2 * (h1 - h2).pow(2).mean(1)
        yield name, torch.clamp(apart - margin, min=0).mean() / 2.0
    yield "drift", critic(p, REAL)[0].pow(2).mean()


def critic_losses(p):
    real, fake = critic(p, REAL)[0], critic(p, FAKE)[0]
    yield "wasserstein", -(real.mean() - fake.mean())
    d_real, d_fake = torch.sigmoid(real), torch.sigmoid(fake)
    cross_entropy = -(torch.log(d_real).mean() + torch.log(1 - d_fake).mean())
    for name in ("minimax", "non_saturating", "maximum_likelihood"):
        yield name, cross_entropy
    shortfall = -(torch.clamp(real - 1, max=0).mean())
    yield "hinge", shortfall - torch.clamp(-fake - 1, max=0).mean()
    yield "least_squares", 0.5 * (real - 1).pow(2).mean() + 0.5 * fake.pow(2).mean()
    yield "relativistic", -log_sigmoid(real - fake).mean()


def generator_losses(p):
    fixed = params_of("critic")
    real, fake = critic(fixed, REAL)[0], critic(fixed, generator(p, LATENT))[0]
    yield "wasserstein", -fake.mean()
    yield "minimax", torch.log(1 - torch.sigmoid(fake)).mean()
    yield "non_saturating", -torch.log(torch.sigmoid(fake)).mean()
    odds = torch.sigmoid(fake) / (1 - torch.sigmoid(fake))
    yield "maximum_likelihood", -odds.mean()
    yield "hinge", -fake.mean()
    yield "least_squares", 0.5 * (fake - 1).pow(2).mean()
    yield "relativistic", -log_sigmoid(fake - real).mean()


def regularizers(p):
    lengths = []
    for z, y in zip(LATENT, DRAW["y"], strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda z: generator(p, z[None]).flatten(), z, create_graph=True
        )
        pixels = REAL.shape[1] * REAL.shape[2]
        lengths.append((jacobian.T @ (y.flatten() / pixels**0.5)).norm())
    lengths = torch.stack(lengths)
    for name, before in (("path_length", 0.0), ("path_length_later", 0.8)):
        mean = before + 0.01 * (lengths.mean().detach() - before)
        yield name, (lengths - mean).pow(2).mean()


def check_both_sides():
    """The problem has examples on either side of each corner of a loss."""
    p = params_of("critic")
    (real, _), (fake, _) = critic(p, REAL), critic(p, FAKE)
    for corner in (norms(p, BETWEEN) - 1.2, real - 1, fake + 1):
        assert corner.min() < 0 < corner.max(), corner


def main():
    check_both_sides()
    golden = {"torch_version": np.array(torch.__version__)}
    cases = (
        ("penalty", "critic", penalties),
        ("critic_loss", "critic", critic_losses),
        ("generator_loss", "generator", generator_losses),
        ("regularizer", "generator", regularizers),
    )
    for kind, player, make in cases:
        p = params_of(player)
        for name, value in make(p):
            grads = torch.autograd.grad(
                value, list(p.values()), retain_graph=True, allow_unused=True
            )
            golden[f"{kind}/{name}/value"] = value.detach().numpy()
            # One vector of all parameters, in the order of draws.npz.
            golden[f"{kind}/{name}/gradient"] = np.concatenate(
                [
                    (torch.zeros_like(w) if g is None else g).detach().numpy().ravel()
                    for g, w in zip(grads, p.values(), strict=True)
                ]
            )
    np.savez_compressed(HERE / "golden.npz", **golden)


if __name__ == "__main__":
    main()
