"""Tests of user-defined networks without any field that the library knows.

They have no width, image shape or dtype. A network only needs the argument ``train``.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from small_networks import jit
from table_rows import fields

from wgan_jax import (
    Gan,
    Term,
    clip_weights,
    gradient_penalty,
    init_state,
    sample,
    train_step,
)
from wgan_jax.conditioning import Conditional
from wgan_jax.losses import OBJECTIVES, path_length, r1

SHAPE = (4, 6, 2)


class Outer(nn.Module):
    """An outer product of two vectors for each channel."""

    @nn.compact
    def __call__(self, latent, *, train):
        height, width, channels = SHAPE
        rows = nn.Dense(height * channels)(latent).reshape(-1, height, 1, channels)
        columns = nn.Dense(width * channels)(latent).reshape(-1, 1, width, channels)
        return jnp.tanh(rows * columns)


class Quadratic(nn.Module):
    """A sum of squares of linear forms, without layers."""

    @nn.compact
    def __call__(self, images, *, train):
        x = images.reshape(len(images), -1)
        kernel = self.param("form", nn.initializers.normal(0.3), (x.shape[1], 3))
        return jnp.sum(jnp.square(x @ kernel), 1) - jnp.mean(x, 1)


class OuterByClass(nn.Module):
    """The same, with a class embedding added to the latent."""

    @nn.compact
    def __call__(self, latent, labels, *, train):
        return Outer()(latent + nn.Embed(3, 5)(labels), train=train)


class QuadraticByClass(nn.Module):
    """The same, plus the mean of the image times a factor of its class."""

    @nn.compact
    def __call__(self, images, labels, *, train):
        factor = nn.Embed(3, 1)(labels)[:, 0]
        return Quadratic()(images, train=train) + factor * images.mean((1, 2, 3))


@dataclasses.dataclass(frozen=True)
class Linear:
    """A network that is not a Flax module, but has the same functions."""

    def init(self, key, latent, *, train):
        return {"params": 0.1 * jax.random.normal(key, (latent.shape[1], 48))}

    def apply(self, variables, latent, *, train, rngs=None, mutable=()):
        images = jnp.tanh(latent @ variables["params"]).reshape(-1, *SHAPE)
        return images, {}

    def __call__(self, latent, *, train):
        raise AssertionError("a network is called by apply")


CASES = {
    "penalties": (
        Outer(),
        {
            "penalties": ((gradient_penalty, 1.0), Term(r1, 0.5, every=2)),
            "regularizers": ((path_length(), 1.0),),
        },
    ),
    "clipping": (
        Outer(),
        {
            "constraint": lambda params: clip_weights(params, bound=0.125),
            "objective": OBJECTIVES["relativistic"],
        },
    ),
    "functions": (Linear(), {"penalties": ((gradient_penalty, 1.0),)}),
}


def gan_of(generator, critic, **parts):
    adam = optax.adam(1e-2)
    return Gan(
        generator=generator,
        critic=critic,
        generator_optimizer=adam,
        critic_optimizer=adam,
        latent_size=5,
        **{"objective": OBJECTIVES["wasserstein"]} | parts,
    )


def trained(gan, key, labels=None):
    """Returns the state and metrics after two iterations of two critic updates each."""
    batches = 2 + int(gan.objective.paired)
    real = jax.random.uniform(key, (batches, 8, *SHAPE), minval=-1.0)
    batch = {"image": real} if labels is None else {"image": real, "label": labels}
    step = jit(lambda state: train_step(gan, state, batch, key))
    before = state = init_state(gan, key)
    for _ in range(2):
        state, metrics = step(state)
    for network in ("generator", "critic"):
        old, new = (getattr(s, network).params for s in (before, state))
        moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), old, new)
        assert all(step > 0 for step in jax.tree.leaves(moved)), network
    assert all(np.isfinite(float(value)) for value in metrics.values())
    return state, metrics


@pytest.mark.parametrize("name", CASES)
def test_networks_without_known_fields_train(name, key):
    generator, parts = CASES[name]
    assert not fields(Outer)
    assert not fields(Quadratic)
    gan = gan_of(generator, Quadratic(), **parts)
    state, metrics = trained(gan, key)
    if name == "functions":
        assert sample(gan, state, key, 3).shape == (3, *SHAPE)
    if gan.penalties:
        assert metrics["critic/gradient_norm_mean"] > 0
    if gan.constraint:
        assert float(jnp.abs(state.critic.params["form"]).max()) <= 0.125


def test_conditional_networks_without_known_fields_train(key):
    gan = gan_of(OuterByClass(), QuadraticByClass(), conditional=Conditional(classes=3))
    labels = jnp.stack([jnp.arange(8) % 3] * 2)
    state, _ = trained(gan, key, labels)
    assert sample(gan, state, key, 3, labels=jnp.arange(3)).shape == (3, *SHAPE)
