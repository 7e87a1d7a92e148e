"""Tests that a step is compiled once, also for a state that is not on a mesh."""

import jax
import jax.numpy as jnp
import pytest
from tiny import tiny_gan

from wgan_jax.losses import OBJECTIVES
from wgan_jax.training.compiled import (
    make_critic_step,
    make_generator_step,
    make_train_step,
    make_train_steps,
)
from wgan_jax.training.init import init_state
from wgan_jax.training.replicas import init_replicas, make_replicas_step

KEY = jax.random.key(0)
IMAGES = jnp.zeros((2, 8, 4, 4, 1))
STEPS = {
    "train_step": lambda gan: (make_train_step(gan), (IMAGES, KEY)),
    "unchecked": lambda gan: (make_train_step(gan, check_values=False), (IMAGES, KEY)),
    "train_steps": lambda gan: (make_train_steps(gan), (IMAGES[None], KEY)),
    "critic_step": lambda gan: (make_critic_step(gan), (IMAGES[0], KEY)),
    "generator_step": lambda gan: (make_generator_step(gan, batch_size=8), (KEY,)),
}


@pytest.fixture
def traced():
    """Returns a Gan and a list that grows whenever a loss is traced."""
    losses, traces = OBJECTIVES["wasserstein"], []

    def critic_loss(real_scores, fake_scores):
        traces.append("critic")
        return losses.critic_loss(real_scores, fake_scores)

    def generator_loss(fake_scores):
        traces.append("generator")
        return losses.generator_loss(fake_scores)

    return tiny_gan(
        objective=losses._replace(
            critic_loss=critic_loss, generator_loss=generator_loss
        )
    ), traces


def traces_by_call(traces, step, state, arguments):
    found = []
    for _ in range(3):
        state, _ = step(state, *arguments)
        found.append(len(traces))
    return found


@pytest.mark.parametrize("name", STEPS)
def test_first_call_alone_traces(traced, name):
    gan, traces = traced
    step, arguments = STEPS[name](gan)
    first, *later = traces_by_call(traces, step, init_state(gan, KEY), arguments)
    assert first > 0
    assert later == [first, first]


def test_first_call_of_replicas_alone_traces(traced):
    gan, traces = traced
    keys = jax.random.split(KEY, 2)
    step, state = make_replicas_step(gan), init_replicas(gan, keys)
    arguments = jnp.stack([IMAGES, IMAGES]), keys
    first, *later = traces_by_call(traces, step, state, arguments)
    assert first > 0
    assert later == [first, first]


def test_state_of_the_host_can_be_used():
    gan = tiny_gan()
    step, state = make_train_step(gan), init_state(gan, KEY)
    expected, _ = make_train_step(gan, donate=False)(state, IMAGES, KEY)
    found, _ = step(jax.device_get(state), IMAGES, KEY)
    for one, two in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert jnp.array_equal(one, two)
