import jax
import jax.numpy as jnp
import numpy as np
import pytest
from table_rows import with_required

from wgan_jax.losses import (
    PENALTIES,
    divergence,
    dragan,
    example_norms,
    gradient_norms,
    gradient_penalty,
    gradient_penalty_and_norms,
    interpolate,
    perturb,
    r1,
    r2,
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


# The value of a critic whose gradients and scores are 0; of other rows finite.
AT_ZERO = {"gradient_penalty": 1, "dragan": 1, "r1": 0, "r2": 0, "divergence": 0}
AT_ZERO |= {"consistency": 0, "drift": 0}


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in PENALTIES]
    + [("gradient_penalty", {"one_sided": True}), ("divergence", {"at": "ends"})],
)
@pytest.mark.parametrize("dead", ["out", "in"])
def test_constant_critic_has_finite_parameter_gradients(key, name, options, dead):
    def loss(params):
        def features(x, key=None):
            h = jnp.tanh(x.reshape(x.shape[0], -1) @ params["in"])
            return h if key is None else h * jax.random.bernoulli(key, 0.5, h.shape)

        critic = lambda x: features(x) @ params["out"]
        critic.perturbed = lambda x, key: (
            features(x, key) @ params["out"],
            features(x, key),
        )
        ends = jnp.zeros((4, 2, 3)), jnp.ones((4, 2, 3))
        result = with_required(PENALTIES[name])(critic, *ends, key, **options)
        return result[0] if isinstance(result, tuple) else result

    params = {"in": jnp.ones((6, 5)), "out": jnp.ones(5)}
    params[dead] = jnp.zeros_like(params[dead])
    value, grads = jax.value_and_grad(loss)(params)
    # One-sided there is nothing to penalize.
    expected = 0 if options else AT_ZERO.get(name, float(value))
    assert float(value) == expected
    assert np.isfinite(float(value))
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
    critic = lambda x: jnp.sum(x**2, axis=1)  # gradient norm 2 |x|
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


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [0.0, 0.5, 3.0])
def test_zero_centred_penalties_of_a_linear_critic_are_closed(key, shape, size):
    critic = linear_critic(slope(size, shape))
    ends = jnp.zeros(shape), jnp.ones(shape)
    for penalty in (r1, r2):
        value, reported = penalty(critic, *ends, key)
        np.testing.assert_allclose(value, size**2 / 2, rtol=1e-5)
        np.testing.assert_allclose(list(reported.values()), [size], rtol=1e-5)
    for at in ("interpolates", "ends"):
        value, reported = divergence(critic, *ends, key, at=at)
        np.testing.assert_allclose(value, size**6, rtol=1e-5)
        np.testing.assert_allclose(list(reported.values()), [size] * 2, rtol=1e-5)
    value, _ = dragan(critic, *ends, key, target=1.0)
    np.testing.assert_allclose(value, (size - 1) ** 2, rtol=1e-5)


def test_r1_looks_at_the_data_and_r2_at_the_fakes(key):
    critic = lambda x: jnp.sum(x**2, axis=1)  # gradient norm 2 |x|
    real, fake = jnp.full((3, 4), 1.0), jnp.full((3, 4), 2.0)  # norms 2 and 4
    value, reported = r1(critic, real, fake, key)
    assert float(value) == pytest.approx(8.0)
    assert float(reported["critic/gradient_norm_at_reals"]) == pytest.approx(4.0)
    value, reported = r2(critic, real, fake, key)
    assert float(value) == pytest.approx(32.0)
    assert float(reported["critic/gradient_norm_at_penalized_fakes"]) == 8.0
    ends, reported = divergence(critic, real, fake, key, power=2.0, at="ends")
    assert float(ends) == pytest.approx((16 + 64) / 2)
    assert [float(v) for v in reported.values()] == pytest.approx([4.0, 8.0])


@pytest.mark.parametrize("power", [1.0, 2.5, 6])
def test_divergence_scales_with_its_power_and_is_finite_at_slope_100(key, power):
    def value(size):
        critic = linear_critic(slope(size, (3, 2)))
        return divergence(
            critic, jnp.zeros((3, 2)), jnp.ones((3, 2)), key, power=power
        )[0]

    np.testing.assert_allclose(value(100.0), 100.0**power, rtol=1e-5)
    np.testing.assert_allclose(value(3.0) / value(1.5), 2**power, rtol=1e-5)
    np.testing.assert_allclose(
        jax.grad(value)(100.0), power * 100.0 ** (power - 1), rtol=1e-4
    )


def test_divergence_refuses_what_it_does_not_know(key):
    points = jnp.ones((2, 2))
    with pytest.raises(ValueError, match="must be at least 1"):
        divergence(lambda x: x[:, 0], points, points, key, power=0.5)
    with pytest.raises(ValueError, match="at is 'reals'; it must be one of"):
        divergence(lambda x: x[:, 0], points, points, key, at="reals")


def test_perturbed_points_are_symmetric_around_the_data(key):
    # Neither an example's nor a pixel's deviation is that of all numbers at once.
    real = jnp.zeros((4000, 4, 1, 2)).at[:1000, :, :, 1].set(2.0)
    noise = perturb(real, key, scale=0.5) - real
    deviation = 0.5 * 2 * np.sqrt(1 / 8 * 7 / 8)
    count = noise.size
    assert abs(float(noise.mean())) < 4 * deviation / np.sqrt(count)
    np.testing.assert_allclose(noise.std(), deviation, rtol=4 / np.sqrt(2 * count))
    np.testing.assert_allclose((noise > 0).mean(), 0.5, atol=2 / np.sqrt(count))
    np.testing.assert_allclose(  # of a normal distribution
        (jnp.abs(noise) < deviation).mean(), 0.6827, atol=2 / np.sqrt(count)
    )
    flat = noise.reshape(4000, -1)  # each number by itself, also within an example
    assert float(jnp.abs(jnp.corrcoef(flat.T) - jnp.eye(8)).max()) < 5 / np.sqrt(4000)
    np.testing.assert_array_equal(perturb(real, key, scale=0.0), real)


def test_dragan_measures_at_the_perturbed_points(key):
    critic = lambda x: jnp.sum(x**2, axis=1)  # gradient norm 2 |x|
    real = jax.random.normal(jax.random.key(3), (6, 2))
    value, reported = dragan(critic, real, 9 * real, key, scale=0.3, target=0.5)
    norms = 2 * jnp.linalg.norm(perturb(real, key, scale=0.3), axis=1)
    np.testing.assert_allclose(value, jnp.mean((norms - 0.5) ** 2), rtol=1e-5)
    np.testing.assert_allclose(
        reported["critic/gradient_norm_mean"], norms.mean(), rtol=1e-5
    )
    np.testing.assert_allclose(
        reported["critic/gradient_norm_max"], norms.max(), rtol=1e-5
    )


def test_half_precision_critics_are_penalised_in_float32(key):
    critic = lambda x: jnp.sum(x * jnp.float16(16.0), axis=1).astype(jnp.float16)
    points = jnp.zeros((2, 3072), jnp.float16)  # 16^2 * 3072 overflows float16
    for penalty in (r1, r2):
        value, _ = penalty(critic, points, points, key)
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, 16**2 * 3072 / 2, rtol=1e-6)
