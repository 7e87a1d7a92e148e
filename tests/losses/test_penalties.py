import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.losses import (
    example_norms,
    gradient_norms,
    gradient_penalty,
    gradient_penalty_and_norms,
    interpolate,
)

SHAPES = [(5, 4, 4, 3), (8, 2, 6, 1), (3, 2)]


def slope(size, shape):
    """A constant gradient of a given norm, spread over all axes of an example."""
    direction = jax.random.normal(jax.random.key(1), shape[1:])
    return size * direction / jnp.sqrt(jnp.sum(direction**2))


def linear_critic(params):
    return lambda x: jnp.sum(x * params[None], axis=tuple(range(1, x.ndim)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [0.0, 1e-8, 0.5, 1.0, 3.0, 1e4])
def test_linear_critic_has_exact_norms(shape, size):
    norms = gradient_norms(linear_critic(slope(size, shape)), jnp.ones(shape))
    assert norms.shape == (shape[0],)
    np.testing.assert_allclose(norms, size, rtol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("target", [1.0, 0.0, 2.5])
@pytest.mark.parametrize("size", [0.5, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_closed(key, shape, size, target):
    critic = linear_critic(slope(size, shape))
    real, fake = jnp.zeros(shape), jnp.ones(shape)
    two = gradient_penalty(critic, real, fake, key, target=target)
    one = gradient_penalty(critic, real, fake, key, target=target, one_sided=True)
    np.testing.assert_allclose(two, (size - target) ** 2, rtol=1e-5, atol=1e-10)
    np.testing.assert_allclose(one, max(size - target, 0) ** 2, rtol=1e-5, atol=1e-10)


def test_minimum_is_exactly_at_the_target(key):
    # An epsilon inside the root would move it: at norm 1 the gradient is 0.
    def penalty(size):
        critic = linear_critic(slope(size, (4, 3, 3, 2)))
        return gradient_penalty(
            critic, jnp.zeros((4, 3, 3, 2)), jnp.ones((4, 3, 3, 2)), key
        )

    assert abs(float(jax.grad(penalty)(1.0))) < 1e-6
    np.testing.assert_allclose(jax.grad(penalty)(1.5), 1.0, rtol=1e-5)


@pytest.mark.parametrize("one_sided", [False, True])
def test_constant_critic_has_finite_parameter_gradients(key, one_sided):
    def loss(params):
        hidden = lambda x: jnp.tanh(x.reshape(x.shape[0], -1) @ params["in"])
        critic = lambda x: hidden(x) @ params["out"]
        return gradient_penalty(
            critic, jnp.zeros((4, 2, 3)), jnp.ones((4, 2, 3)), key, one_sided=one_sided
        )

    params = {"in": jnp.ones((6, 5)), "out": jnp.zeros(5)}
    value, grads = jax.value_and_grad(loss)(params)
    assert float(value) == (0.0 if one_sided else 1.0)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(grads))


def test_norm_is_finite_in_two_derivatives_at_and_near_zero():
    def total(x):
        return jnp.sum(example_norms(x))

    for size in (0.0, 1e-25, 1e-18, 1e-15, 1e-8, 1.0, 1e4):
        x = jnp.full((2, 3), size)
        first = jax.grad(total)(x)
        second = jax.grad(lambda x: jnp.sum(jax.grad(total)(x) * x**0))(x)
        assert bool(jnp.isfinite(first).all()), size
        assert bool(jnp.isfinite(second).all()), size
    np.testing.assert_allclose(
        jax.grad(total)(jnp.full((2, 3), 1e-8)), 3**-0.5, rtol=1e-5
    )


def test_half_precision_norms_accumulate_in_float32():
    x = jnp.full((2, 3072), 16.0, jnp.float16)  # the square sum overflows float16
    assert example_norms(x).dtype == jnp.float32
    np.testing.assert_allclose(example_norms(x), 16 * 3072**0.5, rtol=1e-6)


def test_interpolates_lie_on_the_segments_uniformly(key):
    n = 20_000
    real = jnp.zeros((n, 2, 1, 1))
    fake = jnp.broadcast_to(jnp.array([1.0, -2.0]).reshape(1, 2, 1, 1), real.shape)
    points = interpolate(real, fake, key)
    epsilon = points[:, 0, 0, 0]
    np.testing.assert_allclose(points[:, 1, 0, 0], -2 * epsilon, rtol=1e-6)  # collinear
    assert float(epsilon.min()) >= 0
    assert float(epsilon.max()) <= 1
    np.testing.assert_allclose(epsilon.mean(), 0.5, atol=0.01)
    np.testing.assert_allclose(epsilon.var(), 1 / 12, atol=0.003)


def test_norms_that_are_reported_are_those_of_the_penalty(key):
    critic = lambda x: jnp.sum(x**2, axis=1)  # slope 2 |x|
    real, fake = jnp.zeros((6, 2)), jnp.ones((6, 2))
    value, reported = gradient_penalty_and_norms(critic, real, fake, key)
    norms = 2 * jnp.linalg.norm(interpolate(real, fake, key), axis=1)
    np.testing.assert_allclose(value, jnp.mean((norms - 1) ** 2), rtol=1e-5)
    np.testing.assert_allclose(
        reported["critic/gradient_norm_mean"], norms.mean(), rtol=1e-5
    )
    np.testing.assert_allclose(
        reported["critic/gradient_norm_max"], norms.max(), rtol=1e-5
    )


def test_batch_sum_gradient_is_the_gradient_of_each_example(key):
    weights = jax.random.normal(key, (6, 6))
    one = lambda x: jnp.sum(jnp.tanh(weights @ x.reshape(-1)))
    points = jax.random.normal(jax.random.fold_in(key, 1), (4, 2, 3))
    apart = jax.vmap(lambda x: jnp.sqrt(jnp.sum(jax.grad(one)(x) ** 2)))(points)
    np.testing.assert_allclose(gradient_norms(jax.vmap(one), points), apart, rtol=1e-5)


def test_critic_without_one_score_per_example_is_refused(key):
    with pytest.raises(AssertionError):
        gradient_penalty(jnp.mean, jnp.zeros((4, 2)), jnp.ones((4, 2)), key)
    with pytest.raises(AssertionError):
        interpolate(jnp.zeros((4, 2)), jnp.zeros((3, 2)), key)
