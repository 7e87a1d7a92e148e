"""Tests of distances against reference packages and closed forms."""

import jax
import numpy as np
import pytest
from golden_file import GOLDEN
from metrics_recipe import (
    SPLITS,
    SUBSET_SIZE,
    SUBSETS,
    large_samples,
    logits,
    samples,
)

from wgan_jax.metrics import (
    frechet_distance,
    inception_score,
    kernel_distance,
    mean_and_covariance,
    no_moments,
    sliced_wasserstein_features,
    update_moments,
)

RANDOM = np.random.RandomState(5)


def moments(x, size=10):
    found = no_moments(x.shape[1])
    for start in range(0, len(x), size):
        found = update_moments(found, x[start : start + size])
    return mean_and_covariance(found)


@pytest.mark.parametrize("package", ["pytorch-fid", "torch-fidelity"])
def test_frechet_matches_reference_package(package):
    real, fake = samples()
    found = frechet_distance(*moments(real), *moments(fake))
    np.testing.assert_allclose(found, GOLDEN[f"frechet/{package}"], rtol=1e-6)


def test_kernel_and_inception_score_match_torch_fidelity():
    found = kernel_distance(*samples(), subsets=SUBSETS, subset_size=SUBSET_SIZE)
    np.testing.assert_allclose(found, GOLDEN["kernel"], rtol=1e-6)
    found = inception_score(logits(), splits=SPLITS)
    np.testing.assert_allclose(found, GOLDEN["inception_score"], rtol=1e-6)


def test_frechet_of_known_gaussians():
    """With shared eigenvectors, it is |dm|^2 + sum (sqrt a - sqrt b)^2."""
    basis = np.linalg.qr(RANDOM.randn(6, 6))[0]
    a, b = np.array([[4, 1, 9, 0, 0, 2.25], [1, 1, 4, 0, 1, 0]])
    apart = np.array([1, 0, 2, 0, 0, 0.5])
    first = np.zeros(6), basis * a @ basis.T
    second = apart, basis * b @ basis.T
    truth = 5.25 + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
    for pair in ((first, second), (second, first)):
        assert frechet_distance(*pair[0], *pair[1]) == pytest.approx(truth, rel=1e-12)


def test_frechet_of_nearly_singular_covariances():
    """tr I + tr C - 2 tr C^(1/2) is 2. The root of a rounding error must not count."""
    for _ in range(20):
        turned = np.linalg.qr(RANDOM.randn(3, 3))[0]
        cov = turned @ np.diag([1.0, 0.0, 4.0]) @ turned.T
        found = frechet_distance(np.zeros(3), np.eye(3), np.zeros(3), cov)
        assert found == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize("count", [20, 500])
def test_frechet_is_zero_for_equal_samples_and_symmetric(count):
    """With 20 examples of 64 features, the covariances are singular."""
    x, y = RANDOM.randn(2, count, 64) * 10
    first, second = moments(x), moments(y)
    assert 0 <= frechet_distance(*first, *first) < 1e-8
    there, back = (
        frechet_distance(*a, *b) for a, b in ((first, second), (second, first))
    )
    assert there == pytest.approx(back, rel=1e-12)
    assert there > 1


def test_frechet_with_zero_covariance_is_the_trace():
    cov = np.cov(RANDOM.randn(3, 50))
    found = frechet_distance(np.zeros(3), cov, np.ones(3), np.zeros((3, 3)))
    assert found == pytest.approx(3 + np.trace(cov), rel=1e-12)


def test_kernel_distance_is_unbiased():
    """The mean is zero for equal distributions, for any subset size."""
    for size in (5, 50):
        values = [
            kernel_distance(
                *np.random.RandomState(i).randn(2, 50, 4),
                subsets=max(1, 50 // size),
                subset_size=size,
            ).mean
            for i in range(60)
        ]
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values)) < 3 * error
        assert min(values) < 0 < max(values)


def test_kernel_distance_matches_manual_value():
    """For x = (0, 0) and y = (1, 1) with one feature, it is 1 + 8 - 2."""
    zeros, ones = np.zeros((2, 1)), np.ones((2, 1))
    found = kernel_distance(zeros, ones, subsets=1, subset_size=2)
    assert found == pytest.approx((7, 0))


def test_inception_score_of_known_classes():
    one_hot = np.eye(10)[np.arange(200) % 10]
    assert inception_score(one_hot, splits=1, probabilities=True).mean == pytest.approx(
        10
    )
    sure = inception_score(1000 * one_hot, splits=1)
    assert sure.mean == pytest.approx(10)
    assert inception_score(np.zeros((50, 10))) == pytest.approx((1, 0))


def test_inception_score_does_not_depend_on_order():
    """Without shuffling, each of 10 splits would have one class and a score of 1."""
    ordered = 1000 * np.eye(10)[np.arange(2000) * 10 // 2000]
    by_order = inception_score(ordered)
    shuffled = inception_score(np.random.RandomState(3).permutation(ordered))
    assert by_order.mean > 9
    assert by_order.mean == pytest.approx(shuffled.mean, rel=0.02)


def test_distances_do_not_depend_on_order():
    x = large_samples()
    shuffled = RANDOM.permutation(x)
    y = (x * 1.0001).astype(np.float32)
    first, second = (frechet_distance(*moments(z), *moments(y)) for z in (x, shuffled))
    assert first == pytest.approx(second, rel=1e-9)


def test_sliced_distance_of_a_shift():
    """The mean over directions is |d|^2 / D."""
    x = RANDOM.randn(40, 5).astype(np.float32)
    shift = np.array([1, 2, 0, 0, -2], np.float32)
    key = jax.random.key(0)
    found = sliced_wasserstein_features(x, x + shift[None], key, projections=4000)
    assert found == pytest.approx(np.sqrt(9 / 5), rel=0.03)
    assert sliced_wasserstein_features(x, x, key) == 0


def test_invalid_arguments_are_rejected():
    x = np.zeros((4, 3))
    with pytest.raises(ValueError, match=r"\[3\] and a covariance \[2, 2\]"):
        frechet_distance(np.zeros(3), np.zeros((2, 2)), np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(np.zeros(3), np.eye(3) * np.nan, np.zeros(3), np.eye(3))
    with pytest.raises(ValueError, match="in 2 to 4"):
        kernel_distance(x, x, subset_size=5)
    with pytest.raises(ValueError, match=r"must be \[n, D\] and \[m, D\]"):
        kernel_distance(x, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="splits is 10"):
        inception_score(x)
    with pytest.raises(ValueError, match="sum to 1"):
        inception_score(x, splits=2, probabilities=True)
