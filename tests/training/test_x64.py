"""Tests that ``jax_enable_x64`` does not change what is drawn or trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_gan

from wgan_jax.augmentation import AUGMENTATIONS, diff_augment, random_flip
from wgan_jax.latents import latents
from wgan_jax.sampling import interpolations, sample
from wgan_jax.training.init import init_state
from wgan_jax.training.steps import train_step

IMAGES = np.random.RandomState(0).randint(0, 256, (3, 8, 4, 4, 1)).astype(np.uint8)


def trained():
    """Returns the state after an iteration, its metrics, and samples."""
    gan = tiny_gan(augment=diff_augment_all, flip=True, dequantize=True)
    key = jax.random.key(0)
    state, metrics = jax.jit(train_step, static_argnums=0)(
        gan, init_state(gan, key), IMAGES, key
    )
    arcs = interpolations(gan, state, key, rows=2, columns=3)
    return state, metrics, sample(gan, state, key, 5), arcs


def diff_augment_all(images, key):
    return diff_augment(images, key, policy=",".join(AUGMENTATIONS), probability=0.5)


def test_training_and_sampling_are_the_same_under_x64():
    # jax #27002
    expected = jax.tree.map(np.asarray, trained())
    with jax.enable_x64(True):
        found = jax.tree.map(np.asarray, trained())
    for (path, a), b in zip(
        jax.tree.leaves_with_path(expected), jax.tree.leaves(found), strict=True
    ):
        # Scalars such as means may have more digits.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=str(path))
    for a, b in zip(
        jax.tree.leaves(expected[0]), jax.tree.leaves(found[0]), strict=True
    ):
        assert a.dtype == b.dtype


def draws():
    key = jax.random.key(3)
    images = jnp.asarray(IMAGES[0], jnp.float32) / 127.5 - 1
    return {
        "latents": latents(key, jnp.arange(4), size=5),
        "truncated": latents(key, jnp.arange(4), size=5, truncation=0.7),
        "flip": random_flip(images, key),
        **{name: augment(images, key) for name, augment in AUGMENTATIONS.items()},
    }


@pytest.mark.parametrize("name", draws())
def test_draws_are_the_same_bits_under_x64(name):
    expected = np.asarray(draws()[name])
    with jax.enable_x64(True):
        found = np.asarray(draws()[name])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
