"""Strict numerics, a compilation cache that all tests share, and a tiny GAN."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
ROOT = Path(__file__).parents[1]
CACHE = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402
import pytest  # noqa: E402
from flax import linen as nn  # noqa: E402

from wgan_jax.gan import Gan  # noqa: E402
from wgan_jax.losses import OBJECTIVES, gradient_penalty_and_norms  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", CACHE)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class TinyGenerator(nn.Module):
    """Latent to an image of 4x4x1, with batch norm."""

    @nn.compact
    def __call__(self, latent, *, train):
        x = nn.Dense(16, use_bias=False)(latent)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return jnp.tanh(nn.Dense(16)(nn.relu(x))).reshape(-1, 4, 4, 1)


class TinyCritic(nn.Module):
    """Image to a score, smooth so that second derivatives matter."""

    batch_norm: bool = False

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Dense(24)(images.reshape(images.shape[0], -1))
        if self.batch_norm:
            x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(1)(nn.softplus(x))[:, 0]


def tiny_gan(**changes):
    """A Gan of two small players; keyword arguments replace its parts."""
    parts = {
        "generator": TinyGenerator(),
        "critic": TinyCritic(),
        "objective": OBJECTIVES["wasserstein"],
        "generator_optimizer": optax.adam(1e-3, b1=0.0, b2=0.9),
        "critic_optimizer": optax.adam(1e-3, b1=0.0, b2=0.9),
        "latent_size": 3,
        "penalties": ((gradient_penalty_and_norms, 10.0),),
    }
    return Gan(**(parts | changes))


@pytest.fixture
def gan():
    return tiny_gan()


@pytest.fixture
def key():
    return jax.random.key(7)


@pytest.fixture
def images(key):
    """N, B = 3, 8 batches of uint8 images."""
    bits = jax.random.bits(jax.random.fold_in(key, 99), (3, 8, 4, 4, 1), jnp.uint8)
    return bits
