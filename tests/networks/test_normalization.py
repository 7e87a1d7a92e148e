"""Normalization over the batch, by class, and over one example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import FlaxError
from small_networks import labels

from wgan_jax.networks import BatchNorm, LayerNorm


def test_batch_norm_by_hand(key):
    x = 3 + 2 * jax.random.normal(key, (8, 4, 4, 5))
    norm = BatchNorm()
    variables = norm.init(key, x, train=True)
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], np.zeros(5))
    y, new = norm.apply(variables, x, train=True, mutable=["batch_stats"])
    x = np.asarray(x, np.float64)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), atol=1e-5)
    stats = new["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * var, rtol=1e-5)
    running = norm.apply({**variables, **new}, x.astype("float32"), train=False)
    mean, var = np.asarray(stats["mean"]), np.asarray(stats["var"])
    np.testing.assert_allclose(running, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4)


def test_statistics_move_only_where_the_caller_says_so(key):
    x = jax.random.normal(key, (8, 3))
    norm = BatchNorm()
    variables = norm.init(key, x, train=True)
    fixed = norm.apply(variables, x, train=True)
    moving, _ = norm.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_array_equal(fixed, moving)
    _, same = norm.apply(variables, x, train=False, mutable=["batch_stats"])
    np.testing.assert_array_equal(same["batch_stats"]["mean"], np.zeros(3))
    with pytest.raises(FlaxError):
        norm.apply({"params": variables["params"]}, x, train=False)


def test_by_class_it_starts_as_the_plain_one(key):
    x = 3 + 2 * jax.random.normal(key, (6, 4, 4, 5))
    by_class, plain = BatchNorm(classes=3), BatchNorm()
    y = labels(0, 1, 2, 0, 1, 2)
    variables = by_class.init(key, x, y, train=True)
    np.testing.assert_array_equal(variables["params"]["scale"], np.ones((3, 5)))
    np.testing.assert_array_equal(variables["params"]["bias"], np.zeros((3, 5)))
    expected = plain.apply(plain.init(key, x, train=True), x, train=True)
    np.testing.assert_array_equal(by_class.apply(variables, x, y, train=True), expected)


def test_by_class_by_hand(key):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 2, 3, 5)).astype("float32")
    scale, bias = rng.standard_normal((2, 3, 5)).astype("float32")
    norm, y = BatchNorm(classes=3), [2, 0, 0, 1]
    variables = norm.init(key, x, labels(*y), train=True)
    variables["params"] = {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    unit = (x - mean) / np.sqrt(var + 1e-5)
    expected = unit * scale[y][:, None, None] + bias[y][:, None, None]
    actual = norm.apply(variables, x, labels(*y), train=True)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_a_label_that_is_no_class_gives_no_number(key):
    x, norm = jnp.ones((2, 5)), BatchNorm(classes=3)
    variables = norm.init(key, x, labels(0, 1), train=True)
    variables = jax.tree.map(np.asarray, variables)  # as read from a file
    for wrong in (3, -1):  # -1 often stands for an unknown class
        y = norm.apply(variables, x, labels(0, wrong), train=True)
        np.testing.assert_array_equal(jnp.isnan(y).any(1), [False, True])


def test_layer_norm_by_hand(key):
    x = 3 + 2 * np.asarray(jax.random.normal(key, (4, 2, 3, 5)))
    scale, bias = np.arange(1.0, 6.0), np.arange(5.0)
    params = {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}
    assert jax.tree.map(jnp.shape, LayerNorm().init(key, x)["params"]) == {
        "scale": (5,),
        "bias": (5,),
    }
    mean = x.mean((1, 2, 3), keepdims=True)
    var = x.var((1, 2, 3), keepdims=True)
    expected = scale * (x - mean) / np.sqrt(var + 1e-5) + bias
    actual = LayerNorm().apply({"params": params}, x)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_layer_norm_of_a_flat_example_has_finite_second_derivatives(key):
    norm = LayerNorm()
    params = norm.init(key, jnp.ones((2, 2, 2, 3)))

    def penalty(x):
        score = lambda x: jnp.sum(jnp.sin(norm.apply(params, x)))
        return jnp.sum(jnp.square(jax.grad(score)(x)))

    assert bool(jnp.all(jnp.isfinite(jax.grad(penalty)(jnp.ones((2, 2, 2, 3))))))
