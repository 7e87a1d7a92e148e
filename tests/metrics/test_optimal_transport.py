from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from wgan_jax.metrics.optimal_transport import (
    exact_wasserstein,
    gaussian_wasserstein,
    sliced_wasserstein,
    wasserstein_1d,
)

ORDERS = (1, 2, 3.5)


@pytest.fixture
def random():
    return np.random.default_rng(3)


@pytest.mark.parametrize("p", ORDERS)
def test_distance_of_a_shift_is_its_length(random, p):
    x = random.normal(size=(60, 2, 3))
    shift = random.normal(size=(1, 2, 3))
    moved = random.permutation(x + shift)
    expected = np.linalg.norm(shift)
    assert exact_wasserstein(x, moved, p=p) == pytest.approx(expected, rel=1e-12)
    line = jnp.asarray(random.normal(size=40), jnp.float32)
    found = wasserstein_1d(line, line[::-1] - 2.5, p=p)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, 2.5, rtol=1e-6)


def test_distance_is_invariant_to_permutations_and_accurate(random):
    x = random.normal(size=(50, 3)) + 1e6
    assert exact_wasserstein(x, random.permutation(x), p=2) == 0
    assert wasserstein_1d(jnp.asarray(x[:, 0]), jnp.asarray(x[::-1, 0])) == 0
    # Far from the origin, |x|^2 + |y|^2 - 2 x.y would have no correct digits.
    np.testing.assert_allclose(
        exact_wasserstein(x, x + np.array([0, 0, 1e-3])), 1e-3, rtol=1e-6
    )
    # Powers of this cost overflow float64.
    assert exact_wasserstein([[0.0]], [[3e100]], p=4) == pytest.approx(3e100)


def test_exact_distance_matches_manual_values():
    # A greedy assignment would match 2 with 1.5 and give 4.5 / 2.
    x, y = np.array([[1.0], [2.0]]), np.array([[1.5], [5.0]])
    assert exact_wasserstein(x, y) == pytest.approx(3.5 / 2)
    assert exact_wasserstein(x, y, p=2) == pytest.approx(np.sqrt((0.25 + 9) / 2))
    # The crossed assignment would cost (1 + sqrt(5)) / 2.
    square = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert exact_wasserstein(square, square[:, ::-1] + [1, 0]) == pytest.approx(1.0)


def test_distance_of_parallel_lines_is_theta(random):
    heights = random.uniform(size=200)
    for theta in (-1.0, 0.25):
        still = np.stack([np.zeros(200), heights], 1)
        moved = np.stack([np.full(200, theta), random.permutation(heights)], 1)
        assert exact_wasserstein(still, moved) == pytest.approx(abs(theta))


def test_wasserstein_1d_matches_scipy_and_assignment(random):
    x, y = random.normal(size=(2, 70)) * np.array([[1.0], [3.0]])
    expected = wasserstein_distance(x, y)
    assert exact_wasserstein(x, y) == pytest.approx(expected, rel=1e-12)
    for p in ORDERS:
        found = wasserstein_1d(jnp.asarray(x), jnp.asarray(y), p=p)
        np.testing.assert_allclose(found, exact_wasserstein(x, y, p=p), rtol=1e-5)
    np.testing.assert_allclose(
        wasserstein_1d(jnp.asarray(x), jnp.asarray(y)), expected, rtol=1e-5
    )


def test_exact_distance_is_a_metric(random):
    a, b, c = random.normal(size=(3, 40, 2)) + random.normal(size=(3, 1, 2))
    for p in ORDERS:
        ab, bc, ac = (
            exact_wasserstein(*pair, p=p) for pair in ((a, b), (b, c), (a, c))
        )
        assert exact_wasserstein(b, a, p=p) == pytest.approx(ab)
        assert ac <= ab + bc
    assert exact_wasserstein(a, b) <= exact_wasserstein(a, b, p=2)


def test_gaussian_distance_matches_closed_forms():
    # In 1-D, W^2 = (difference of means)^2 + (difference of deviations)^2.
    assert gaussian_wasserstein(1.0, 4.0, -2.0, 9.0) == pytest.approx(np.sqrt(10))
    zero, eye = np.zeros(3), np.eye(3)
    assert gaussian_wasserstein(zero, eye, [2, 3, 6], eye) == pytest.approx(7)
    # Commuting covariances: deviations are subtracted by axis, (1, 2, 0) and (3, 0, 0).
    flat = gaussian_wasserstein(zero, np.diag([1.0, 4, 0]), zero, np.diag([9.0, 0, 0]))
    assert flat == pytest.approx(np.sqrt(8))
    # Invariant to rotations. For A = [[2, 1], [1, 2]] and I, it is
    # tr A + 2 - 2 tr A^(1/2) = 6 - 2 (sqrt 3 + 1).
    a = np.array([[2.0, 1], [1, 2]])
    mixed = gaussian_wasserstein([0, 0], a, [0, 0], np.eye(2))
    assert mixed == pytest.approx(np.sqrt(4 - 2 * np.sqrt(3)))
    # Not commuting, in 2-D: tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)), M ~ A B.
    b = np.diag([1.0, 4.0])
    shared = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a @ b)))
    expected = np.sqrt(np.trace(a + b) - 2 * shared)
    assert gaussian_wasserstein([0, 0], a, [0, 0], b) == pytest.approx(expected)
    assert gaussian_wasserstein([0, 0], b, [0, 0], a) == pytest.approx(expected)
    assert gaussian_wasserstein([0, 0], a, [0, 0], a) < 1e-7


def test_distance_of_a_linear_map_matches_closed_form(random):
    x = random.normal(size=(400, 2))
    root = np.array([[1.5, 0.5], [0.5, 1.0]])
    # A symmetric positive definite map is optimal, also for finite samples.
    y = x @ root + [1.0, -1.0]
    moments = [m for a in (x, y) for m in (a.mean(0), np.cov(a.T, ddof=0))]
    found = exact_wasserstein(x, y, p=2)
    assert found == pytest.approx(gaussian_wasserstein(*moments), rel=1e-9)


def test_sliced_distance_of_a_shift(random):
    x = jnp.asarray(random.normal(size=(10, 2, 3)), jnp.float32)
    shift = jnp.asarray(random.normal(size=(1, 2, 3)), jnp.float32)
    sliced = jax.jit(partial(sliced_wasserstein, projections=3000))
    keys = jax.random.split(jax.random.key(0), 2)
    squares = np.array([sliced(x, x + shift, key) ** 2 for key in keys])
    # E (theta . d)^2 = |d|^2 / D, with a relative error below sqrt(2 / 3000).
    np.testing.assert_allclose(squares, jnp.sum(shift**2) / 6, rtol=0.1)
    assert squares[0] != squares[1]
    # For order 1 in the plane, E |theta . d| = 2 |d| / pi.
    flat = x[:, :, 0]
    found = sliced_wasserstein(
        flat, flat + jnp.ones((1, 2)), keys[0], projections=3000, p=1
    )
    np.testing.assert_allclose(found, 2 * np.sqrt(2) / np.pi, rtol=0.05)
    # In 1-D, there is only one direction and its opposite.
    line = x[:, 0, 0]
    found = sliced_wasserstein(line, 2 * line, keys[0], projections=3)
    expected = exact_wasserstein(line, 2 * line, p=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gradients_match_manual_values():
    x, y = jnp.array([3.0, 0.0, 1.0]), jnp.array([0.5, 2.0, 2.5])
    slope = jax.grad(wasserstein_1d)
    # Sorted, (0, 1, 3) is matched with (0.5, 2, 2.5): signs -, -, +, divided by 3.
    np.testing.assert_allclose(slope(x, y), np.array([1, -1, -1]) / 3, rtol=1e-6)
    for p in ORDERS:
        assert np.all(np.asarray(jax.grad(wasserstein_1d)(x, x, p=p)) == 0)
    sliced = jax.grad(sliced_wasserstein)(
        x[:, None], x[:, None], jax.random.key(0), projections=2
    )
    assert np.all(np.asarray(sliced) == 0)


def test_invalid_arguments_are_rejected():
    x, key = np.zeros((3, 2)), jax.random.key(0)
    for distance in (
        exact_wasserstein,
        lambda *xy: sliced_wasserstein(*xy, key, projections=1),
    ):
        for y in (x[:2], x[:, :1], np.zeros((0, 2))):
            with pytest.raises(ValueError, match="must have the same shape"):
                distance(x, y)
    with pytest.raises(ValueError, match="must have the same shape"):
        wasserstein_1d(x[:, 0], x[:2, 0])
    with pytest.raises(ValueError, match=r"it must be \[n\]"):
        wasserstein_1d(x, x)
    with pytest.raises(ValueError, match=r"p is 0\.5"):
        exact_wasserstein(x, x, p=0.5)
    with pytest.raises(ValueError, match="not finite"):
        exact_wasserstein(x, x + np.nan)
    with pytest.raises(ValueError, match="projections is 0"):
        sliced_wasserstein(x, x, key, projections=0)
    zero, eye = np.zeros(2), np.eye(2)
    with pytest.raises(ValueError, match="do not match the first mean"):
        gaussian_wasserstein(zero, eye, np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="not symmetric"):
        gaussian_wasserstein(zero, eye, zero, np.array([[1.0, 1], [0, 1]]))
    with pytest.raises(ValueError, match="the eigenvalue -1"):
        gaussian_wasserstein(zero, eye, zero, -eye)
