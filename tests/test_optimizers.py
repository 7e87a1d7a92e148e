"""Tests of the optimizers against their recurrences in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wgan_jax.optimizers import OPTIMIZERS

RATE = 1e-3


def pytorch(v, g):
    v = 0.99 * v + 0.01 * g**2
    return v, RATE * g / (np.sqrt(v) + 1e-8)


def tensorflow_1(v, g):
    v = 0.9 * v + 0.1 * g**2
    return v, RATE * g / np.sqrt(v + 1e-10)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize(
    ("name", "rule", "first"),
    [("rmsprop", pytorch, 0.0), ("rmsprop_tensorflow", tensorflow_1, 1.0)],
)
def test_rmsprop_follows_its_recurrence(name, rule, first, size):
    optimizer = OPTIMIZERS[name](learning_rate=RATE)
    params = {"w": jnp.zeros(3)}
    state = optimizer.init(params)
    random, expected, v = np.random.RandomState(0), np.zeros(3), np.full(3, first)
    for _ in range(10):
        grads = size * random.randn(3)
        v, step = rule(v, grads)
        expected -= step
        updates, state = optimizer.update({"w": jnp.asarray(grads, jnp.float32)}, state)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["w"], expected, rtol=2e-5)


def test_adam_follows_its_recurrence():
    optimizer = OPTIMIZERS["adam"](learning_rate=RATE, b1=0.5, b2=0.9)
    params = {"w": jnp.zeros(3)}
    state = optimizer.init(params)
    random = np.random.RandomState(0)
    expected, m, v = np.zeros(3), np.zeros(3), np.zeros(3)
    for t in range(1, 11):
        grads = random.randn(3)
        m, v = 0.5 * m + 0.5 * grads, 0.9 * v + 0.1 * grads**2
        expected -= RATE * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-8)
        updates, state = optimizer.update({"w": jnp.asarray(grads, jnp.float32)}, state)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["w"], expected, rtol=2e-5)


def test_adam_with_a_scheduled_b2_follows_its_recurrence():
    options = {"b1": 0.0, "b2": 0.9, "final_b2": 0.99, "schedule_iterations": 6}
    optimizer = OPTIMIZERS["adam"](learning_rate=RATE, **options)
    params = {"w": jnp.zeros(3)}
    state = optimizer.init(params)
    random, expected, v = np.random.RandomState(0), np.zeros(3), np.zeros(3)
    for t in range(1, 11):
        iteration = (t - 1) // 2  # two critic updates per iteration
        b2 = 0.99 - 0.045 * (1 + np.cos(np.pi * min(1, iteration / 6)))
        grads = random.randn(3)
        v = b2 * v + (1 - b2) * grads**2
        expected -= RATE * grads / (np.sqrt(v / (1 - b2**t)) + 1e-8)
        updates, state = optimizer.update(
            {"w": jnp.asarray(grads, jnp.float32)},
            state,
            params,
            iteration=jnp.asarray(iteration),
        )
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["w"], expected, rtol=1e-4)


def test_length_without_a_final_b2_is_rejected():
    for options in ({"final_b2": 0.99}, {"schedule_iterations": 5}):
        with pytest.raises(ValueError, match="set both or none of them"):
            OPTIMIZERS["adam"](learning_rate=RATE, **options)


def steps(optimizer, params, count=30):
    """Returns the parameters after some steps on a quadratic with its minimum at 2."""
    state = optimizer.init(params)
    for _ in range(count):
        updates, state = optimizer.update(params - 2.0, state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_descends_with_default_settings(name):
    start = jnp.array([1.0, 2.5, -3.0])
    after = jax.jit(lambda p: steps(OPTIMIZERS[name](learning_rate=1e-2), p))(start)
    assert after.dtype == start.dtype
    assert np.all(np.abs(after - 2.0) < np.abs(start - 2.0))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_learning_rate_can_be_swept(name):
    start, rates = jnp.array([1.0, -3.0]), jnp.array([1e-3, 1e-2])
    one = lambda rate: steps(OPTIMIZERS[name](learning_rate=rate), start, 3)
    together = jax.jit(jax.vmap(one))(rates)
    for rate, found in zip([1e-3, 1e-2], together, strict=True):
        np.testing.assert_allclose(found, one(rate), rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("rate", [0.0, -1e-3, float("nan")])
def test_invalid_learning_rates_are_rejected(name, rate):
    with pytest.raises(ValueError, match=r"learning_rate is .*; it must be above 0"):
        OPTIMIZERS[name](learning_rate=rate)
