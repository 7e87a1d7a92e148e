import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.losses import gradient_penalty
from wgan_jax.losses.estimators import (
    estimate_by_flow,
    estimate_by_gradient_norm,
    estimate_by_penalty,
    extrapolated_estimate,
    grid_max_norm,
    lipschitz_bound,
)

DISTANCES = np.array([0.0, 1e-6, 0.3, 1.5, 40.0], np.float32)


@pytest.mark.parametrize("weight", [0.1, 1.0, 10.0, 1e4])
def test_the_closed_form_undoes_the_bias(weight):
    estimates = DISTANCES + DISTANCES**2 / (2 * weight)
    found = np.asarray(estimate_by_penalty(jnp.asarray(estimates), weight=weight))
    np.testing.assert_allclose(found, DISTANCES, rtol=1e-5)
    # Odd, so that the sign of an untrained critic stays.
    found = estimate_by_penalty(-jnp.asarray(estimates), weight=weight)
    np.testing.assert_allclose(found, -DISTANCES, rtol=1e-5)


def test_the_closed_form_in_shape_and_limits():
    rising = np.asarray(estimate_by_penalty(jnp.linspace(-3.0, 3.0, 61), weight=0.1))
    assert np.all(np.diff(rising) > 0)
    # By hand: 0.5 (sqrt(1 + 4 * 6) - 1) = 2.
    assert estimate_by_penalty(6.0, weight=0.5) == pytest.approx(2.0)
    assert estimate_by_penalty(0.7, weight=1e9) == pytest.approx(0.7, rel=1e-6)
    # sqrt(2 w E) in the other limit.
    assert estimate_by_penalty(3.0, weight=1e-8) == pytest.approx(
        np.sqrt(6e-8), rel=1e-3
    )
    slope = jax.grad(lambda e: estimate_by_penalty(e, weight=0.1))
    # Gradient norm 1 / sqrt(1 + 2 E / w), also at 0.
    assert slope(0.0) == pytest.approx(1.0)
    assert slope(1.2) == pytest.approx(0.2, rel=1e-5)
    weights = jnp.array([0.5, 1e9])
    found = jax.jit(lambda e, w: estimate_by_penalty(e, weight=w))(
        6.0 * jnp.ones(2), weights
    )
    np.testing.assert_allclose(found, [2.0, 6.0], rtol=1e-6)
    with pytest.raises(ValueError, match="weight is 0"):
        estimate_by_penalty(1.0, weight=0)


@pytest.mark.parametrize("weight", [0.1, 10.0])
def test_a_converged_critic_of_two_points_reads_right_in_every_way(weight):
    # Between 0 and x = W in the plane the flow is 1 and the density 1 / W: the best
    # critic has the gradient norm 1 + W / (2 w) everywhere.
    distance = 0.8
    slope = 1 + distance / (2 * weight)
    critic = lambda x: slope * x[:, 0]
    real = jnp.tile(jnp.array([[distance, 0.0]]), (16, 1))
    fake = jnp.zeros((16, 2))
    estimate = jnp.mean(critic(real)) - jnp.mean(critic(fake))
    assert estimate == pytest.approx(distance + distance**2 / (2 * weight), rel=1e-6)
    penalty = weight * gradient_penalty(critic, real, fake, jax.random.key(0))
    largest = grid_max_norm(critic, jnp.zeros(2), jnp.ones(2), points=3)
    for found in (
        estimate_by_penalty(estimate, weight=weight),
        estimate_by_flow(estimate, penalty),
        estimate_by_gradient_norm(estimate, slope),
        lipschitz_bound(estimate, largest),
    ):
        assert found == pytest.approx(distance, rel=1e-5)
    # That gradient norm is where the loss is least, one step to either side is worse.
    at = lambda s: weight * (s - 1) ** 2 - s * distance
    assert at(slope) < min(at(slope - 1e-3), at(slope + 1e-3))


def test_an_uneven_flow_is_read_from_above_by_the_closed_form_alone():
    # Two such pairs with densities 0.9 and 0.1 of the penalty and half the mass
    # each: gradient norms 1 + t / (2 w d) in units of d, T = W, K = W^2 (.25/.9 +
    # .25/.1).
    weight, distance = 0.5, 2.0
    density, mass = np.array([0.9, 0.1]), np.array([0.5, 0.5])
    slopes = 1 + mass * distance / (2 * weight * density)
    estimate = np.sum(mass * slopes * distance)
    penalty = weight * np.sum(density * (slopes - 1) ** 2)
    assert estimate_by_flow(estimate, penalty) == pytest.approx(distance)
    assert estimate_by_penalty(estimate, weight=weight) > 1.2 * distance
    assert (
        estimate_by_gradient_norm(estimate, np.sum(density * slopes)) > 1.2 * distance
    )
    assert lipschitz_bound(estimate, slopes.max()) < distance


def test_ratios_keep_clear_of_a_flat_critic():
    for reading in (estimate_by_gradient_norm, lipschitz_bound):
        found = reading(jnp.array([3.0, 0.0, -1.0]), jnp.array([2.0, 0.0, 4.0]))
        np.testing.assert_array_equal(found, [1.5, 0.0, -0.25])
        assert np.isfinite(jax.grad(reading)(0.0, 0.0))


def test_extrapolation_is_exact_on_its_model():
    estimates = tuple(0.7 + 0.9 / (2 * w) for w in (0.1, 3.0))
    assert extrapolated_estimate(estimates, weights=(0.1, 3.0)) == pytest.approx(0.7)
    with pytest.raises(ValueError, match="two different numbers"):
        extrapolated_estimate(estimates, weights=(1.0, 1.0))
    with pytest.raises(ValueError, match="two different numbers"):
        extrapolated_estimate(estimates, weights=(-1.0, 1.0))


def test_largest_slope_on_a_grid():
    # |grad| of x^2 / 2 + 3 y is sqrt(x^2 + 9), largest at the left edge.
    critic = lambda x: x[:, 0] ** 2 / 2 + 3 * x[:, 1]
    low, high = jnp.array([-4.0, 0.0]), jnp.array([2.0, 1.0])
    largest = jax.jit(lambda: grid_max_norm(critic, low, high, points=7))
    np.testing.assert_allclose(largest(), 5.0, rtol=1e-6)
    # A ridge inside is met where a point of the grid lies on it, here x = 1, y = 0.5.
    ridge = lambda x: jnp.sum(jnp.tanh(8 * (x - jnp.array([[1.0, 0.5]]))), axis=1)
    found = grid_max_norm(ridge, low, high, points=7)
    np.testing.assert_allclose(found, 8 * np.sqrt(2), rtol=1e-6)
    with pytest.raises(ValueError, match="both must be"):
        grid_max_norm(critic, jnp.zeros(3), jnp.ones(3), points=7)
    with pytest.raises(ValueError, match="points is 1"):
        grid_max_norm(critic, low, high, points=1)
