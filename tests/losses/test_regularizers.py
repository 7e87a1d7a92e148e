import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.losses import REGULARIZERS, path_length, path_lengths


def memory(mean):
    return {"mean": jnp.asarray(mean), "length": jnp.zeros(())}


def linear(matrix, shape):
    return lambda z: (z @ matrix).reshape(z.shape[0], *shape)


@pytest.mark.parametrize(
    ("shape", "pixels"), [((6,), 1), ((3, 2, 1), 6), ((2, 3, 2), 6)]
)
def test_lengths_of_a_linear_generator(key, shape, pixels):
    # J^T y = A y for G(z) = z A, with y / sqrt(H W) for images alone.
    matrix = jax.random.normal(jax.random.key(1), (4, math.prod(shape)))
    lengths = path_lengths(linear(matrix, shape), jnp.ones((5, 4)), key)
    y = np.asarray(jax.random.normal(key, (5, *shape))).reshape(5, -1)
    expected = np.linalg.norm(y @ np.asarray(matrix).T, axis=1) / math.sqrt(pixels)
    np.testing.assert_allclose(lengths, expected, rtol=1e-5)


def test_expected_length_of_a_scaled_rotation(key):
    # |c Q y| is c times a chi variable with Z degrees of freedom.
    size, scale, n = 3, 2.5, 40_000
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    generate = linear(jnp.asarray(scale * rotation, jnp.float32), (size,))
    lengths = path_lengths(generate, jnp.zeros((n, size)), key)
    mean = scale * math.sqrt(2) * math.gamma((size + 1) / 2) / math.gamma(size / 2)
    np.testing.assert_allclose(lengths.mean(), mean, rtol=0.01)
    np.testing.assert_allclose(jnp.mean(lengths**2), scale**2 * size, rtol=0.02)


def test_moving_mean_by_hand(key):
    regularizer = path_length(decay=0.25)
    generate = linear(jnp.array([[2.0]]), (1,))
    latent, state, mean = jnp.ones((6, 1)), regularizer.init(), 0.0
    assert float(state["mean"]) == 0.0
    for i in range(3):
        k = jax.random.fold_in(key, i)
        value, state = regularizer.apply(generate, latent, k, state)
        metrics = regularizer.report(state)
        lengths = 2 * np.abs(np.asarray(jax.random.normal(k, (6, 1)))[:, 0])
        mean = 0.75 * mean + 0.25 * lengths.mean()
        assert state["mean"].shape == ()
        np.testing.assert_allclose(state["mean"], mean, rtol=1e-5)
        np.testing.assert_allclose(value, ((lengths - mean) ** 2).mean(), rtol=1e-5)
        np.testing.assert_allclose(
            metrics["generator/path_length"], lengths.mean(), rtol=1e-5
        )
        assert float(metrics["generator/path_length_mean"]) == float(state["mean"])


def test_moved_mean_is_a_constant_of_the_gradient(key):
    # With lengths s n_i, the derivative at s is 2 mean(n_i (s n_i - a)).
    regularizer, scale = path_length(decay=0.5), 1.5
    value = lambda s: regularizer.apply(
        lambda z: s * z, jnp.ones((6, 1)), key, memory(0.2)
    )[0]
    n = np.abs(np.asarray(jax.random.normal(key, (6, 1)))[:, 0])
    mean = 0.5 * 0.2 + 0.5 * (scale * n).mean()
    np.testing.assert_allclose(
        jax.grad(value)(scale), 2 * (n * (scale * n - mean)).mean(), rtol=1e-4
    )


def test_constant_generator_has_finite_gradients(key):
    regularizer = path_length()

    def loss(matrix):
        generate = lambda z: jnp.tanh(z @ matrix)
        return regularizer.apply(generate, jnp.ones((4, 3)), key, memory(1.0))[0]

    value, gradient = jax.value_and_grad(loss)(jnp.zeros((3, 5)))
    assert float(value) == pytest.approx(0.99**2)
    assert bool(jnp.isfinite(gradient).all())


def test_half_precision_images_and_a_state_that_keeps_its_type(key):
    regularizer = path_length()
    generate = lambda z: (z @ jnp.eye(4)).astype(jnp.bfloat16).reshape(-1, 2, 2, 1)
    value, state = regularizer.apply(generate, jnp.ones((3, 4)), key, memory(0.0))
    dtypes = {x.dtype for x in [value, *state.values()]}
    assert dtypes == {jnp.dtype("float32")}


@pytest.mark.parametrize("decay", [0.0, -0.1, 1.5, float("nan")])
def test_decay_out_of_range_is_refused(decay):
    with pytest.raises(ValueError, match="must be in"):
        REGULARIZERS["path_length"](decay=decay)
