"""A GAN with two small networks, for tests that do not depend on the networks."""

import jax.numpy as jnp
import optax
from flax import linen as nn

from wgan_jax.gan import Gan
from wgan_jax.losses import OBJECTIVES, gradient_penalty_and_norms


class TinyGenerator(nn.Module):
    """Generator of 4x4x1 images with batch norm."""

    @nn.compact
    def __call__(self, latent, *, train):
        x = nn.Dense(16, use_bias=False)(latent)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return jnp.tanh(nn.Dense(16)(nn.relu(x))).reshape(-1, 4, 4, 1)


class TinyCritic(nn.Module):
    """Smooth critic, so that second derivatives are not zero."""

    batch_norm: bool = False

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Dense(24)(images.reshape(images.shape[0], -1))
        if self.batch_norm:
            x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(1)(nn.softplus(x))[:, 0]


def tiny_gan(**changes):
    """Returns a Gan with two small networks; keyword arguments replace its fields."""
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
