"""Tests of diversity measures against a reference package and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_file import GOLDEN
from metrics_recipe import images

from wgan_jax.metrics import (
    mode_scores,
    pair_similarity,
    perceptual_path_length,
    structural_similarity,
)

RANDOM = np.random.RandomState(8)


def test_similarity_matches_pytorch_msssim():
    first = images(192)
    second = np.roll(first, 1, axis=0) // 2 + first // 2
    found = structural_similarity(first, second)
    np.testing.assert_allclose(found, GOLDEN["ms_ssim"], rtol=1e-4)


def test_similarity_of_small_images():
    """Constant images give the coarsest luminance, (2ab + C) / (a^2 + b^2 + C)."""
    x = images(32, count=3)
    np.testing.assert_allclose(structural_similarity(x, x), 1.0, rtol=1e-5)
    a, b, c = 60.0, 180.0, 2.55**2
    even = (np.full((1, 32, 32, 3), level, np.float32) for level in (a, b))
    truth = ((2 * a * b + c) / (a * a + b * b + c)) ** 0.1333
    assert structural_similarity(*even)[0] == pytest.approx(truth, rel=1e-4)


def test_pair_similarity_decreases_with_diversity():
    base = images(32, count=1)
    noise = RANDOM.randint(0, 256, (20, 32, 32, 3))
    mixed = [
        ((1 - share) * base + share * noise).astype(np.uint8) for share in (0, 0.2, 1)
    ]
    found = [pair_similarity(x, pairs=40, batch_size=15) for x in mixed]
    assert found[0] == pytest.approx((1, 0), abs=1e-5)
    assert 1 > found[1].mean > found[2].mean
    again = pair_similarity(mixed[1], pairs=40, batch_size=40)
    assert again == pytest.approx(found[1], rel=1e-5)


def test_path_length_of_a_linear_generator():
    """On the arc between two latents of length r at angle w, the speed is r w."""
    matrix = np.linalg.qr(RANDOM.randn(64, 64))[0].astype(np.float32)
    found = perceptual_path_length(
        lambda z: 3.0 * z @ matrix,
        lambda images: images,
        jax.random.key(0),
        latent_size=64,
        samples=2000,
        batch_size=500,
    )
    # In 64 dimensions, lengths are near 8 and angles near 90 degrees.
    assert found.mean == pytest.approx(9 * 64 * (np.pi / 2) ** 2, rel=0.02)


def test_path_length_trims_and_is_zero_for_a_constant():
    def length(generate, **options):
        return perceptual_path_length(
            generate,
            lambda x: x,
            jax.random.key(1),
            latent_size=4,
            samples=100,
            batch_size=50,
            **options,
        )

    assert length(lambda z: jnp.zeros((z.shape[0], 2))) == (0, 0)
    trimmed, whole = (length(lambda z: z, trim=t) for t in (0.1, 0.0))
    assert trimmed.deviation < whole.deviation
    with pytest.raises(ValueError, match="must divide samples"):
        length(lambda z: z, trim=0.5)


def test_mode_scores_match_manual_values():
    modes = np.array([[0.0, 0], [10, 0], [0, 10]])
    points = [[0.1, 0], [0, 0.29], [0.31, 0], [10.2, 0], [5, 5]]
    found = mode_scores(points, modes, deviation=0.1)
    assert (found.covered, found.high_quality) == (2, pytest.approx(3 / 5))
    np.testing.assert_array_equal(found.counts, [2, 1, 0])


def test_mode_scores_of_the_mixture():
    """In the plane, 1 - exp(-r^2 / 2) of a Gaussian is within r deviations."""
    modes = 4.0 * np.stack(np.meshgrid(range(5), range(5)), axis=-1).reshape(-1, 2)
    points = modes[RANDOM.randint(25, size=20000)] + 0.1 * RANDOM.randn(20000, 2)
    found = mode_scores(points, modes, deviation=0.1, radius=2.0)
    assert found.covered == 25
    assert found.high_quality == pytest.approx(1 - np.exp(-2), abs=0.01)


def test_invalid_arguments_are_rejected():
    with pytest.raises(ValueError, match="at least 16"):
        structural_similarity(images(8), images(8))
    with pytest.raises(ValueError, match="at least 2 uint8 images"):
        pair_similarity(images(32).astype(np.float32))
    with pytest.raises(ValueError, match=r"must be \[n, D\] and \[m, D\]"):
        mode_scores(np.zeros((4, 3)), np.zeros((2, 2)), deviation=1.0)
    with pytest.raises(ValueError, match="no points"):
        mode_scores(np.zeros((0, 2)), np.zeros((2, 2)), deviation=1.0)
