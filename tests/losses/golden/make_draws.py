"""Writes ``draws.npz``: the fixed problem of the reference values, and JAX's draws.

The first of two steps; run it with JAX and this package installed, from the root
of the repository:

    JAX_PLATFORMS=cpu python tests/losses/golden/make_draws.py
    python tests/losses/golden/make_golden.py

The second needs PyTorch. JAX draws from a key and PyTorch from a generator, so
what the losses draw from the tests' key is written down here, in float64. A row that
draws something else adds it to ``draws``.
"""

from pathlib import Path

import jax
import numpy as np

HERE = Path(__file__).parent
KEY = 11  # the tests use the same
BATCH, SIDE, CHANNELS, LATENT = 4, 4, 2, 3
SHAPE = (BATCH, SIDE, SIDE, CHANNELS)
KEEP, HIDDEN = 0.6, 5


def problem():
    """Parameters of a small critic and generator, data and latents."""
    rng = np.random.default_rng(22)
    size = SIDE * SIDE
    return {
        "critic/kernel": 0.2 * rng.standard_normal((3, 3, CHANNELS, 3)),
        "critic/offset": 0.3 * rng.standard_normal(3),
        "critic/dense": 0.25 * rng.standard_normal((size * 3, HIDDEN)),
        "critic/bias": 0.3 * rng.standard_normal(HIDDEN),
        "critic/out": 0.8 * rng.standard_normal(HIDDEN),
        "critic/level": 0.3 * rng.standard_normal(1),
        "generator/dense": 0.8 * rng.standard_normal((LATENT, 6)),
        "generator/bias": 0.3 * rng.standard_normal(6),
        "generator/out": 0.5 * rng.standard_normal((6, size * CHANNELS)),
        "generator/offset": 0.3 * rng.standard_normal(size * CHANNELS),
        "real": rng.uniform(-1, 1, SHAPE),
        "latent": rng.standard_normal((BATCH, LATENT)),
    }


def draws():
    """What the losses draw from the key, named by who draws it."""
    key = jax.random.key(KEY)
    drawn = {
        "draw/epsilon": jax.random.uniform(key, (BATCH, 1, 1, 1)),
        "draw/noise": jax.random.normal(key, SHAPE),
        "draw/y": jax.random.normal(key, SHAPE),
    }
    for name, half in zip(("first", "second"), jax.random.split(key), strict=True):
        mask = jax.random.bernoulli(half, KEEP, (BATCH, HIDDEN))
        drawn[f"draw/mask_{name}"] = mask / KEEP
    return {name: np.asarray(value) for name, value in drawn.items()}


if __name__ == "__main__":
    with jax.enable_x64(True):
        arrays = problem() | draws()
    assert all(a.dtype == np.float64 for a in arrays.values())
    np.savez_compressed(HERE / "draws.npz", **arrays)
