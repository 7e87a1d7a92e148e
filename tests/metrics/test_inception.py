"""Tests of FID's Inception against pytorch-fid, with random weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden_file import FOLDER, GOLDEN
from metrics_recipe import images, weights

from wgan_jax.metrics import InceptionFeatures
from wgan_jax.metrics.inception import TAPS, fold_inception
from wgan_jax.metrics.inception_network import InceptionV3


def drawn_state():
    """Returns arrays for the layers of our network, named as in pytorch-fid."""
    described = jax.eval_shape(
        InceptionV3().init, jax.random.key(0), jnp.zeros((1, 75, 75, 3))
    )["params"]
    shapes = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for layer, leaves in described.items():
        if layer != "fc":
            height, width, inputs, outputs = leaves["kernel"].shape
            shapes[f"{layer}.conv.weight"] = (outputs, inputs, height, width)
            for part in ("weight", "bias", "running_mean", "running_var"):
                shapes[f"{layer}.bn.{part}"] = (outputs,)
    return {name: weights(name, shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def state():
    return drawn_state()


@pytest.fixture(scope="module")
def path(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "w.npz"
    np.savez(path, **state)
    return path


@pytest.mark.parametrize(("resize", "side"), [("bilinear", 32), ("none", 80)])
def test_pooled_features_and_logits_match_pytorch_fid(path, resize, side):
    extractor = InceptionFeatures(path, resize=resize)
    found = extractor(images(side))
    np.testing.assert_allclose(
        found.values, GOLDEN[f"inception/{resize}/2048"], atol=1e-4
    )
    np.testing.assert_allclose(
        found.logits, GOLDEN[f"inception/{resize}/logits"], atol=5e-4
    )
    assert extractor.input_size == (299 if resize == "bilinear" else None)
    assert extractor.resize == resize


def test_every_tap_matches_pytorch_fid(path, state):
    """Computes all taps in one compilation, and checks the shape of the default tap."""
    x = 2 * jnp.asarray(images(80), jnp.float32) / 255 - 1
    found, _ = jax.jit(InceptionV3().apply)({"params": fold_inception(state)}, x)
    for tap in TAPS:
        np.testing.assert_allclose(
            found[tap], GOLDEN[f"inception/none/{tap}"], atol=1e-4
        )
    extractor = InceptionFeatures(path, tap=64, resize="none")
    features = extractor(images(80))
    np.testing.assert_allclose(features.values, found[64], atol=1e-5)
    assert features.logits is None
    assert (extractor.name, extractor.size) == ("inception-v3-fid/64", 64)


def test_large_images_are_resized_without_antialiasing(path):
    found = InceptionFeatures(path, tap=64)(images(320))
    np.testing.assert_allclose(found.values, GOLDEN["inception/shrunk/64"], atol=1e-4)


def test_invalid_arguments_are_rejected(path, state):
    with pytest.raises(ValueError, match=r"tap is 100 .*\(64, 192, 768, 2048\)"):
        InceptionFeatures(path, tap=100)
    with pytest.raises(ValueError, match="resize is 'cubic'"):
        InceptionFeatures(path, resize="cubic")
    with pytest.raises(ValueError, match="32 by 32 are too small"):
        InceptionFeatures(path, tap=64, resize="none")(images(32))
    with pytest.raises(ValueError, match="must contain the weights of FID's Inception"):
        InceptionFeatures(FOLDER / "legacy.pth")
    other = {**state, "fc.weight": state["fc.weight"][:1000]}
    with pytest.raises(ValueError, match=r"fc is \[2048, 1000\] in the file"):
        fold_inception(other)
