"""Tests of joint and separate critic passes for real and fake examples."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from tiny import TinyCritic, TinyGenerator, tiny_gan

from wgan_jax.conditioning import Conditional
from wgan_jax.gan import Gan
from wgan_jax.training.gradients import Pairs
from wgan_jax.training.init import init_state
from wgan_jax.training.steps import critic_update


class Apart(TinyCritic):
    """Critic that declares that it processes examples independently."""

    joint_pass = True


class Classes(TinyGenerator):
    """Generator that ignores its labels."""

    @nn.compact
    def __call__(self, latent, labels, *, train):
        return jnp.tanh(nn.Dense(16)(latent)).reshape(-1, 4, 4, 1)


class ByClass(nn.Module):
    """Conditional critic with a linear score per class."""

    @nn.compact
    def __call__(self, images, labels, *, train):
        kernel = self.param("kernel", nn.initializers.normal(1.0), (3, 16))
        return jnp.sum(kernel[labels] * images.reshape(images.shape[0], -1), 1)


class ByClassApart(ByClass):
    """The same critic, which declares that examples are independent."""

    joint_pass = True


@pytest.fixture
def pairs(key):
    real, fake = jax.random.normal(key, (2, 8, 4, 4, 1))
    return Pairs(real, fake)


@pytest.fixture
def batches(monkeypatch):
    """Returns a list to which the batch size of each critic pass is appended."""
    found = []
    score = Gan.score

    def counted(self, params, model_state, images, **rest):
        found.append(len(images))
        return score(self, params, model_state, images, **rest)

    monkeypatch.setattr(Gan, "score", counted)
    return found


def update(critic, pairs, key, batches, **changes):
    """Returns the results of an update and the batch sizes of its critic passes."""
    gan = tiny_gan(critic=critic, penalties=(), **changes)
    state = init_state(gan, key)
    batches.clear()
    state, metrics = critic_update(gan, state, pairs, key)
    return (state.critic, metrics), list(batches)


def test_joint_pass_equals_two_passes(key, pairs, batches):
    joined, passes = update(Apart(), pairs, key, batches)
    assert passes == [16]
    apart, passes = update(TinyCritic(), pairs, key, batches)
    assert passes == [8, 8]
    chex.assert_trees_all_close(joined, apart, rtol=1e-5, atol=1e-6)


def test_critic_with_batch_norm_uses_two_passes(key, pairs, batches):
    assert update(Apart(batch_norm=True), pairs, key, batches)[1] == [8, 8]


def test_joint_pass_keeps_labels_with_examples(key, pairs, batches):
    labels = jnp.arange(8) % 3
    pairs = pairs._replace(labels=labels, fake_labels=2 - labels)
    parts = {"generator": Classes(), "conditional": Conditional(classes=3)}
    joined, passes = update(ByClassApart(), pairs, key, batches, **parts)
    assert passes == [16]
    apart, passes = update(ByClass(), pairs, key, batches, **parts)
    assert passes == [8, 8]
    chex.assert_trees_all_close(joined, apart, rtol=1e-5, atol=1e-6)
