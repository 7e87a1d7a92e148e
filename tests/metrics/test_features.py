"""Tests of the preparation of images and of feature extraction in batches."""

import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.io.images import on_white
from wgan_jax.metrics import (
    Features,
    FunctionFeatures,
    extract_features,
    rgb_levels,
)
from wgan_jax.metrics.features import NetworkFeatures


def pixel_means(images):
    return jnp.mean(jnp.asarray(images, jnp.float32), axis=(1, 2))


EXTRACTOR = FunctionFeatures(pixel_means, name="means", weights="1", size=3)


def test_rgb_levels_is_a_fixed_map():
    x = np.array([-1.5, -1, -0.5, 0, 0.5, 1, 1.5], np.float32).reshape(7, 1, 1, 1)
    levels = rgb_levels(x)
    assert levels.dtype == np.uint8
    np.testing.assert_array_equal(levels[:, 0, 0, 0], [0, 0, 64, 128, 191, 255, 255])
    np.testing.assert_array_equal(levels, levels[..., :1].repeat(3, axis=3))


def test_rgb_levels_treats_images_independently():
    x = np.random.RandomState(0).uniform(-0.3, 0.3, (4, 2, 2, 3)).astype(np.float32)
    extreme = np.concatenate([x, np.ones((1, 2, 2, 3), np.float32)])
    np.testing.assert_array_equal(rgb_levels(extreme)[:4], rgb_levels(x))


def test_rgb_levels_stays_on_the_device():
    for channels in (1, 3):
        levels = rgb_levels(jnp.zeros((2, 4, 4, channels), jnp.uint8))
        assert isinstance(levels, jnp.ndarray)
        assert levels.shape == (2, 4, 4, 3)


@pytest.mark.parametrize("convert", [np.asarray, jnp.asarray])
def test_rgb_levels_puts_rgba_on_white(convert):
    x = np.array([[10, 20, 30, 0], [10, 20, 30, 255], [0, 100, 255, 51]], np.uint8)
    levels = rgb_levels(convert(x.reshape(3, 1, 1, 4)))
    assert levels.dtype == np.uint8
    # With an opacity of 51 / 255 = 0.2, the level v becomes 0.2 v + 204.
    expected = [[255, 255, 255], [10, 20, 30], [204, 224, 255]]
    np.testing.assert_array_equal(levels[:, 0, 0], expected)
    floating = on_white(x.astype(np.float32))
    np.testing.assert_allclose(floating, expected, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [10, 103, 200])
def test_extract_features_pads_the_last_batch(batch_size):
    images = np.random.RandomState(0).uniform(-1, 1, (103, 4, 4, 3)).astype("f4")
    sizes = []

    def watched(batch):
        sizes.append(len(batch))
        return Features(pixel_means(batch), pixel_means(batch) + 1)

    found = extract_features(watched, images, batch_size=batch_size)
    np.testing.assert_allclose(found.values, pixel_means(images), atol=1e-6)
    np.testing.assert_allclose(found.logits, pixel_means(images) + 1, atol=1e-6)
    assert set(sizes) == {batch_size}
    assert extract_features(EXTRACTOR, images, batch_size=batch_size).logits is None


def test_invalid_images_are_rejected():
    with pytest.raises(ValueError, match="uint8, or floating"):
        rgb_levels(np.zeros((1, 2, 2, 3), np.int32))
    with pytest.raises(ValueError, match=r"images are \[2, 2, 3\]"):
        rgb_levels(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="NaN"):
        rgb_levels(np.full((1, 2, 2, 3), np.nan))
    with pytest.raises(ValueError, match="both must be at least 1"):
        extract_features(EXTRACTOR, np.zeros((0, 2, 2, 3)), batch_size=4)


class OfLevels(NetworkFeatures):
    _params = None

    def _apply(self, params, levels):
        return Features(pixel_means(levels))


def test_networks_of_the_package_check_the_range_of_a_set():
    bright = np.arange(24.0).reshape(2, 2, 2, 3) / 23
    for images in (bright, np.full((2, 2, 2, 3), 3.0)):
        with pytest.raises(ValueError, match=r"the images are from .* \[-1, 1\]"):
            extract_features(OfLevels(), images, batch_size=4)
        extract_features(EXTRACTOR, images, batch_size=4)  # has a range of its own
    extract_features(OfLevels(), 2 * bright - 1, batch_size=4)
