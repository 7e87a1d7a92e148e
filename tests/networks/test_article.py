"""The article's pair against its formulas, evaluated by hand."""

import jax
import numpy as np
import pytest
from small_networks import apply, init

from wgan_jax.networks import CRITICS, GENERATORS


def weights(params, name):
    return (np.asarray(params[name][part], np.float64) for part in ("kernel", "bias"))


def with_biases(variables, seed=0):
    """The variables with biases that are not zero."""
    rng = np.random.default_rng(seed)
    add = lambda x: x + rng.standard_normal(x.shape).astype("float32")
    return jax.tree.map(lambda x: add(x) if x.ndim == 1 else x, variables)


@pytest.mark.parametrize("rank", [1, 3])
def test_generator_by_hand(rank, key):
    height, width, channels = shape = (5, 4, 3)
    generator = GENERATORS["article"](image_shape=shape, rank=rank)
    z = jax.random.normal(key, (6, 7))
    variables = with_biases(init(generator, key, z))
    (w, b), (w2, b2) = (weights(variables["params"], n) for n in ("down", "along"))
    latent, images = np.asarray(z, np.float64), np.zeros((6, *shape))
    for n in range(6):
        first = 1 / (1 + np.exp(-(latent[n] @ w / 2 + b)))
        h = np.tanh(latent[n] @ w2 + b2)
        first = first.reshape(height, channels, rank)
        h = h.reshape(width, channels, rank)
        for c in range(channels):
            for r in range(rank):
                images[n, :, :, c] += np.outer(first[:, c, r], h[:, c, r])
    if rank > 1:
        images = np.tanh(images)
    actual = apply(generator, variables, z, train=True)
    np.testing.assert_allclose(actual, images, rtol=1e-4, atol=1e-5)
    assert np.abs(actual).max() < 1
    sums = np.asarray(actual) if rank == 1 else np.arctanh(np.asarray(actual))
    ranks = np.linalg.matrix_rank(np.moveaxis(sums, 3, 1), rtol=1e-3)
    assert np.all(ranks == rank)


def test_critic_by_hand(key):
    critic = CRITICS["article"](width=2, kernel_size=3, stride=2)
    images = jax.random.normal(key, (2, 5, 6, 3))
    variables = with_biases(init(critic, key, images))
    params = variables["params"]
    (w, b), (v, c) = (weights(params, name) for name in ("conv", "output"))
    # "SAME" of stride 2: 5 -> 3 with a zero on both sides, 6 -> 3 with one at the end.
    x = np.pad(np.asarray(images, np.float64), ((0, 0), (1, 1), (0, 1), (0, 0)))
    f = np.zeros((2, 3, 3, 2))
    for i in range(3):
        for j in range(3):
            patch = x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
            f[:, i, j] = np.einsum("nabc,abco->no", patch, w) + b
    f = (np.tanh(f) + 1) ** 2 / 2
    expected = f.reshape(2, -1) @ v[:, 0] + c
    actual = apply(critic, variables, images, train=True)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_what_has_no_meaning_is_refused(key):
    with pytest.raises(ValueError, match="rank is 0; it must be at least 1"):
        GENERATORS["article"](rank=0).init(key, np.zeros((2, 4)), train=False)
    with pytest.raises(ValueError, match=r"article critic: image shape is \(2,\)"):
        CRITICS["article"]().init(key, np.zeros((2, 2)), train=False)
