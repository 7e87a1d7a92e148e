"""Features of FID: its Inception-v3 network with weights from a file."""

import os
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.metrics.features import QUANTISATION, Features, NetworkFeatures
from wgan_jax.metrics.inception_network import InceptionV3
from wgan_jax.metrics.state_dict import hash_state_dict, read_state_dict
from wgan_jax.types import Array, PyTree

TAPS = (64, 192, 768, 2048)
RESIZES = ("bilinear", "none")
_SIDE = 299  # resolution at which the network was trained
_SMALLEST = 75  # below this, a block without padding has an empty output
_EPSILON = 1e-3  # of batch normalization


class InceptionFeatures(NetworkFeatures):
    """Features of FID; distances between them are FID and KID.

    Attributes:
        name: name of the network and the layer.
        weights: hash of the parameters.
        size: 64, 192, 768 or 2048.
        classes: 1008 for the last layer, 0 for the others.
        input_size: 299; None if images are not resized.
        resize: bilinear as in ``pytorch-fid`` (pixel centers, no antialiasing),
            or none.
        quantisation: floating-point images are first converted to gray levels.
    """

    quantisation = QUANTISATION

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        tap: int = 2048,
        resize: str = "bilinear",
    ) -> None:
        """Reads the weights.

        Args:
            path: path of ``pt_inception-2015-12-05-6726825d.pth`` from
                pytorch-fid, which ``inception_weights()`` downloads and which
                is read without PyTorch, or of an ``.npz`` file with the same
                names.
            tap: layer with 64, 192, 768 or 2048 features, averaged over
                positions.
            resize: an entry of ``RESIZES``; with ``none``, images must have
                sides of at least 75.

        Raises:
            ValueError: if an option is invalid or the file is for another
                network.
        """
        if tap not in TAPS or resize not in RESIZES:
            raise ValueError(
                f"tap is {tap} and resize is {resize!r}; they must be one of {TAPS} "
                f"and one of {RESIZES}."
            )
        state = read_state_dict(path)
        self.name, self.size = f"inception-v3-fid/{tap}", tap
        self.classes = 1008 if tap == TAPS[-1] else 0
        self.weights = hash_state_dict(state)
        self.resize = resize
        self.input_size = _SIDE if resize == "bilinear" else None
        self._params = fold_inception(state)
        self._apply = jax.jit(self._features)

    def _features(self, params: PyTree, levels: Array) -> Features:
        x = levels.astype(jnp.float32) / 255
        if self.resize == "bilinear":
            shape = (x.shape[0], _SIDE, _SIDE, 3)
            x = jax.image.resize(x, shape, "bilinear", antialias=False)
        elif min(x.shape[1:3]) < _SMALLEST:
            raise ValueError(
                f"images of {x.shape[1]} by {x.shape[2]} are too small for this "
                f"network. Use resize='bilinear', or sides of at least {_SMALLEST}."
            )
        found: dict[int, Array]
        logits: Array
        found, logits = InceptionV3().apply({"params": params}, 2 * x - 1)  # type: ignore[assignment]
        return Features(found[self.size], logits if self.size == TAPS[-1] else None)


def fold_inception(state: Mapping[str, np.ndarray]) -> PyTree:
    """Returns the parameters of ``InceptionV3``, with batch normalization folded in.

    Args:
        state: arrays by their names in pytorch-fid's file.

    Returns:
        HWIO kernels and biases by layer.

    Raises:
        ValueError: if an array is missing or has the wrong shape.
    """
    images = jax.ShapeDtypeStruct((1, _SMALLEST, _SMALLEST, 3), jnp.float32)
    described = jax.eval_shape(InceptionV3().init, jax.random.key(0), images)
    params = {}
    for layer, expected in described["params"].items():
        try:
            if layer == "fc":
                found = {"kernel": state["fc.weight"].T}
            else:
                found = _fold_unit(state, layer)
        except KeyError as missing:
            raise ValueError(
                f"the file has no {missing.args[0]}; it must contain the weights of "
                "FID's Inception."
            ) from missing
        for name, leaf in expected.items():
            if found[name].shape != leaf.shape:
                raise ValueError(
                    f"{name} of {layer} is {list(found[name].shape)} in the file, but "
                    f"must be {list(leaf.shape)} for FID's Inception."
                )
        params[layer] = {k: jnp.asarray(v, jnp.float32) for k, v in found.items()}
    return params


def _fold_unit(state: Mapping[str, np.ndarray], layer: str) -> dict[str, np.ndarray]:
    norm = f"{layer}.bn"
    gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + _EPSILON)
    kernel = state[f"{layer}.conv.weight"] * gain[:, None, None, None]
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return {"kernel": kernel.transpose(2, 3, 1, 0), "bias": bias}
