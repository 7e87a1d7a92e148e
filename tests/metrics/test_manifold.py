"""Tests of neighborhood scores against reference packages and manual values."""

import jax
import numpy as np
import pytest
from golden_file import GOLDEN
from metrics_recipe import samples

from wgan_jax.metrics import manifold, manifold_scores, nearest_neighbours

RANDOM = np.random.RandomState(6)


@pytest.mark.parametrize("block_bytes", [2**27, 8 * 203 * 10])
def test_scores_match_reference_packages(monkeypatch, block_bytes):
    """The second block size is 10 or 11 rows, which divides neither 203 nor 181."""
    monkeypatch.setattr(manifold, "_BLOCK_BYTES", block_bytes)
    found = manifold_scores(*samples())
    np.testing.assert_allclose(found[:2], GOLDEN["manifold/torch-fidelity"], rtol=1e-6)
    np.testing.assert_allclose(found[:2], GOLDEN["manifold/prdc-3"][:2], rtol=1e-6)
    np.testing.assert_allclose(found[2:], GOLDEN["manifold/prdc-5"][2:], rtol=1e-6)


def test_scores_for_other_k_and_shuffled_samples():
    real, fake = (RANDOM.permutation(x) for x in samples())
    found = manifold_scores(real, fake, precision_k=5, coverage_k=3)
    np.testing.assert_allclose(found[:2], GOLDEN["manifold/prdc-5"][:2], rtol=1e-6)
    np.testing.assert_allclose(found[2:], GOLDEN["manifold/prdc-3"][2:], rtol=1e-6)


def test_scores_of_equal_and_of_distant_samples():
    x = (1e3 + RANDOM.randn(50, 6)).astype(np.float32)
    assert manifold_scores(x, x) == pytest.approx((1, 1, 1, 1))
    assert manifold_scores(x, x + 100) == (0, 0, 0, 0)


def test_scores_match_manual_values():
    """On a line with k = 1, reals are 0, 1, 3 (radii 1, 1, 2), fakes 0.5, 9, 9.5."""
    real, fake = np.array([0.0, 1, 3])[:, None], np.array([0.5, 9, 9.5])[:, None]
    found = manifold_scores(real, fake, precision_k=1, coverage_k=1)
    # 0.5 is in two balls, 2.5 away from 3. Its own radius of 8.5 covers all reals.
    assert found == pytest.approx((1 / 3, 1, 2 / 3, 2 / 3))


def test_scores_of_repeated_examples():
    """With radius 0, the closed ball contains its center, the open ball does not."""
    real, fake = np.array([0.0, 0, 7])[:, None], np.array([0.0, 20, 20])[:, None]
    found = manifold_scores(real, fake, precision_k=1, coverage_k=1)
    # Only 7 has a ball, of radius 7, with 0 on its boundary. The radius of 0 is 20.
    assert found == pytest.approx((1 / 3, 1, 0, 0))
    found = manifold_scores(fake, real, precision_k=1, coverage_k=1)
    assert found == pytest.approx((1, 1 / 3, 1, 1 / 3))


def test_neighbors_match_manual_values_with_ties():
    x, y = np.array([[0.0, 0], [5, 5]]), np.array([[3.0, 4], [0, 1], [0, -1], [5, 6]])
    found = nearest_neighbours(x, y, k=3)
    np.testing.assert_array_equal(found.indices, [[1, 2, 0], [3, 0, 1]])
    np.testing.assert_allclose(
        found.distances, [[1, 1, 5], [1, np.sqrt(5), np.sqrt(41)]], rtol=1e-12
    )


def test_neighbors_match_all_pairs(monkeypatch):
    monkeypatch.setattr(manifold, "_BLOCK_BYTES", 8 * 40 * 7)
    x, y = RANDOM.randn(23, 4) + 1e4, RANDOM.randn(40, 4) + 1e4
    apart = np.linalg.norm(x[:, None] - y[None], axis=2)
    found = nearest_neighbours(x, y, k=40)
    np.testing.assert_array_equal(found.indices, np.argsort(apart, axis=1))
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1), rtol=1e-6)


def test_blocks_are_limited_in_size():
    blocks = list(manifold._blocks(2**17, np.zeros((300, 2), np.float32)))
    assert [len(rows[0]) for rows in blocks] == [128] * 3
    assert isinstance(blocks[0][0], jax.Array)


def test_too_few_examples_are_rejected():
    x = np.zeros((4, 2))
    with pytest.raises(ValueError, match="k is 6; it must be in 1 to 4"):
        manifold_scores(x, x)
    with pytest.raises(ValueError, match="k is 0"):
        nearest_neighbours(x, x, k=0)


def test_copies_are_within_balls_of_no_size():
    reals = np.random.default_rng(0).normal(size=(300, 1280)).astype(np.float32) + 3
    fakes = np.repeat(reals[:60], 5, axis=0)
    found = manifold_scores(reals, fakes, precision_k=3, coverage_k=5)
    assert found.precision == 1
    assert found.recall == pytest.approx(60 / 300)  # the fakes' balls have radius 0
    same = nearest_neighbours(reals[:1], fakes, k=6)
    assert (same.distances[0, :5] == 0).all()
    assert same.distances[0, 5] > 1
