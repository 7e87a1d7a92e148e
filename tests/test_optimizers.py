"""Tests of the optimizers against their recurrences in NumPy."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wgan_jax.optimizers import OPTIMIZERS, clipped, find_optimizer, optax_names

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


DECAYED = [
    name
    for name, make in OPTIMIZERS.items()
    if "weight_decay" in inspect.signature(make).parameters
]


@pytest.mark.parametrize("name", DECAYED)
def test_weight_decay_is_decoupled(name):
    params = jnp.array([1.0, -3.0])
    one, two = (OPTIMIZERS[name](learning_rate=0.1, weight_decay=d) for d in (0.0, 0.5))
    plain, state = one.update(params - 2.0, one.init(params), params)
    decayed, other = two.update(params - 2.0, two.init(params), params)
    np.testing.assert_allclose(decayed, plain - 0.1 * 0.5 * params, rtol=1e-6)
    # Checkpoints without weight decay can be read with it.
    assert jax.tree.structure(state) == jax.tree.structure(other)


def test_adam_with_weight_decay_is_adamw_of_optax():
    start, options = jnp.array([1.0, -3.0]), {"b1": 0.5, "weight_decay": 0.1}
    ours = steps(OPTIMIZERS["adam"](learning_rate=0.1, **options), start)
    np.testing.assert_allclose(
        ours, steps(optax.adamw(0.1, **options), start), rtol=1e-5
    )


def test_global_norm_of_the_gradients_is_clipped():
    grads = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}
    for norm, factor in ((1.0, 0.2), (10.0, 1.0)):
        optimizer = clipped(optax.sgd(1.0), norm)
        updates, _ = optimizer.update(grads, optimizer.init(grads))
        for name, value in grads.items():
            np.testing.assert_allclose(updates[name], -factor * value, rtol=1e-6)


UNUSABLE = {"lbfgs", "noisy_sgd", "dpsgd", "momo", "momo_adam", "sophia"}


@pytest.mark.filterwarnings("ignore:Specifying a key")  # of noisy_sgd
@pytest.mark.parametrize("name", optax_names())
def test_optimizers_of_optax_are_usable_or_refused(name):
    make = find_optimizer(name)
    if name.partition(":")[2] in UNUSABLE:
        with pytest.raises(ValueError, match=f"^{name} cannot be used, because it"):
            make(learning_rate=0.1)
        return
    params = {"w": jnp.full((3, 3), 2.0), "b": jnp.ones(3)}
    optimizer = optax.with_extra_args_support(make(learning_rate=0.1))
    state = optimizer.init(params)
    for _ in range(3):
        updates, state = optimizer.update(params, state, params, iteration=0)
        params = optax.apply_updates(params, updates)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(params))
    assert np.all(params["b"] <= 1.0)


def test_options_of_optax_are_passed():
    grads = jnp.array([1.0, -3.0])
    optimizer = find_optimizer("optax:lion")(
        learning_rate=0.1, b1=0.5, weight_decay=0.2
    )
    updates, _ = optimizer.update(grads, optimizer.init(grads), grads)
    np.testing.assert_allclose(
        updates, -0.1 * (np.sign(grads) + 0.2 * grads), rtol=1e-6
    )
    # Masks are pytrees, which no config has.
    options = inspect.signature(find_optimizer("optax:lars")).parameters
    assert not [name for name in options if "mask" in name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lion", "'lion' is not known; .*, such as optax:lion, or module:function"),
        ("optax:lien", "did you mean optax:lion"),
        ("optax:scale_by_rprop", "is not known"),
        ("optax.contrib:schedule_free_sgd", "is not known"),
        ("missing_module:sgd", "cannot be imported"),
        ("os:getcwd", "has no parameter learning_rate"),
        ("os:sep", "is not a function"),
    ],
)
def test_unknown_optimizers_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        find_optimizer(name)
