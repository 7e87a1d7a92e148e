"""Tests of batches of one example, which batch norm may make constant."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from tiny import TinyCritic, tiny_gan

from wgan_jax.conditioning import Conditional
from wgan_jax.networks import BatchNorm
from wgan_jax.sampling import standing_statistics
from wgan_jax.training.compiled import make_train_step
from wgan_jax.training.gradients import Pairs
from wgan_jax.training.init import init_state
from wgan_jax.training.replicas import init_replicas, make_replicas_step
from wgan_jax.training.single_examples import is_constant
from wgan_jax.training.steps import critic_step, critic_update, generator_step

KEY = jax.random.key(0)
IMAGES = np.random.RandomState(0).uniform(-1, 1, (8, 4, 4, 1)).astype(np.float32)


class Maps(nn.Module):
    """Generator with batch norm of maps of several pixels."""

    @nn.compact
    def __call__(self, latent, *, train):
        x = nn.Dense(32)(latent).reshape(-1, 4, 4, 2)
        x = BatchNorm()(x, train=train)
        return jnp.tanh(nn.Dense(1, kernel_init=nn.initializers.zeros)(nn.relu(x)))


class OwnNorm(nn.Module):
    """Generator whose batch norm is its own, with its own collection."""

    skip: bool = False

    @nn.compact
    def __call__(self, latent, labels=None, *, train):
        x = nn.Dense(16)(latent)
        mean = self.variable("running", "center", jnp.zeros, (1, 16))
        center = x.mean(0, keepdims=True) if train else mean.value
        if train and not self.is_initializing():
            mean.value = center
        h = x - center + (0.5 * x if self.skip else 0)
        return jnp.tanh(
            nn.Dense(16, kernel_init=nn.initializers.zeros)(nn.relu(h))
        ).reshape(-1, 4, 4, 1)


@pytest.mark.parametrize(
    ("gan", "constant"),
    [
        (tiny_gan(), True),
        (tiny_gan(generator=Maps()), False),
        (tiny_gan(generator=OwnNorm()), True),
        (tiny_gan(generator=OwnNorm(skip=True)), False),
    ],
    ids=["dense", "maps", "own", "skip"],
)
def test_a_generator_that_ignores_its_latent_is_found(gan, constant):
    assert is_constant(gan, "generator") == constant


def test_steps_refuse_one_example_at_a_time():
    # BicycleGAN-pytorch #1, SinGAN #20
    gan, match = tiny_gan(), "TinyGenerator gets 1 example at a time"
    state = init_state(gan, KEY)
    with pytest.raises(ValueError, match=match):
        critic_step(gan, state, IMAGES[:1], KEY)
    with pytest.raises(ValueError, match=match):
        generator_step(gan, state, KEY, batch_size=1)
    with pytest.raises(ValueError, match=match):
        make_train_step(gan)(state, IMAGES[None, :1], KEY)
    parts = tiny_gan(microbatches=8)
    with pytest.raises(ValueError, match=match):
        make_train_step(parts)(init_state(parts, KEY), IMAGES[None], KEY)
    few = tiny_gan(generator_batch_size=1)
    with pytest.raises(ValueError, match=match):
        make_train_step(few)(init_state(few, KEY), IMAGES[None], KEY)
    with pytest.raises(ValueError, match=match):
        critic_step(parts, init_state(parts, KEY), IMAGES, KEY)
    generator_step(gan, state, KEY, batch_size=2)


def test_standing_statistics_of_single_examples_are_refused():
    gan = tiny_gan()
    state = init_state(gan, KEY)
    with pytest.raises(ValueError, match="gets 1 example at a time"):
        standing_statistics(gan, state, KEY, batches=4, batch_size=1)
    standing_statistics(gan, state, KEY, batches=4, batch_size=2)


def test_a_critic_that_ignores_its_images_is_refused():
    gan = tiny_gan(critic=TinyCritic(batch_norm=True), penalties=())
    state = init_state(gan, KEY)
    with pytest.raises(ValueError, match="TinyCritic gets 1 example at a time"):
        critic_update(gan, state, Pairs(IMAGES[:1], IMAGES[1:2]), KEY)


def test_one_example_at_a_time_trains_other_networks():
    gan = tiny_gan(generator=Maps())
    step = make_train_step(gan)
    _, metrics = step(init_state(gan, KEY), IMAGES[None, :1], KEY)
    assert np.isfinite(metrics["critic/loss"])


def test_replicas_refuse_one_example_at_a_time():
    gan = tiny_gan()
    keys = jax.random.split(KEY, 2)
    step = make_replicas_step(gan)
    with pytest.raises(ValueError, match="gets 1 example at a time"):
        step(init_replicas(gan, keys), np.stack([IMAGES[None, :1]] * 2), keys)


def test_a_conditional_generator_that_ignores_its_latent_is_found():
    networks = {"generator": OwnNorm(), "critic": ByClass()}
    gan = tiny_gan(**networks, conditional=Conditional(classes=3))
    assert is_constant(gan, "generator")


class ByClass(nn.Module):
    @nn.compact
    def __call__(self, images, labels, *, train):
        return nn.Dense(3)(images.reshape(len(images), -1))[
            jnp.arange(len(labels)), labels
        ]


class Spectral(nn.Module):
    """Critic whose spectral vectors are in the collection ``batch_stats``."""

    @nn.compact
    def __call__(self, images, *, train):
        layer = nn.SpectralNorm(nn.Dense(8))
        h = layer(images.reshape(len(images), -1), update_stats=train)
        return nn.Dense(1)(nn.softplus(h))[:, 0]


class OwnNormCritic(nn.Module):
    """Critic whose batch norm is its own, with its own collection."""

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.Dense(8)(images.reshape(len(images), -1))
        mean = self.variable("running", "center", jnp.zeros, (1, 8))
        center = x.mean(0, keepdims=True) if train else mean.value
        if train and self.is_mutable_collection("running"):
            mean.value = center
        return nn.Dense(1)(nn.softplus(x - center))[:, 0]


def test_a_penalty_needs_a_critic_that_does_not_mix_examples():
    # compare_gan #9
    gan = tiny_gan(critic=Spectral())
    _, metrics = critic_step(gan, init_state(gan, KEY), IMAGES, KEY)
    assert float(metrics["critic/penalty"]) > 0
    for critic in (OwnNormCritic(), TinyCritic(batch_norm=True)):
        with pytest.raises(ValueError, match="batch norm, which mixes the examples"):
            init_state(tiny_gan(critic=critic), KEY)
        init_state(tiny_gan(critic=critic, penalties=()), KEY)
