"""Residual blocks of the WGAN-GP paper: 3x3 convolutions and a shortcut."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks import parametrization
from wgan_jax.networks.labels import Initializer
from wgan_jax.networks.layers import (
    Conv,
    ConvMeanPool,
    Dense,
    UpsampleConv,
    conv_glorot,
    conv_he,
)
from wgan_jax.networks.normalization import BatchNorm, LayerNorm, normalize_maps
from wgan_jax.networks.sizes import Base
from wgan_jax.types import Array

_LINEAR = nn.initializers.glorot_uniform()


class _Residual(nn.Module):
    """Common part of the blocks: 3x3 convolutions and linear 1x1 shortcuts.

    Attributes:
        features: output channels.
        conv: class of the plain convolutions, with flax's fields.
        inner_bias: whether the first 3x3 convolution has a bias.
        parametrization: of the kernels; a key of ``PARAMETRIZATIONS``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.
    """

    features: int
    conv: Callable[..., nn.Module] = Conv
    inner_bias: bool = True
    parametrization: str = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32

    def _conv_0(
        self, x: Array, layer: Callable[..., nn.Module], features: int | None = None
    ) -> Array:
        window: dict[str, Any] = {"kernel_size": (3, 3), "kernel_init": conv_he()}
        if not self.inner_bias:
            window["use_bias"] = False
        return self._layer(x, layer, "conv_0", features, **window)

    def _conv_1(self, x: Array, layer: Callable[..., nn.Module]) -> Array:
        window: dict[str, Any] = {"kernel_size": (3, 3), "kernel_init": conv_he()}
        return self._layer(x, layer, "conv_1", **window)

    def _shortcut(self, x: Array) -> Array:
        window: dict[str, Any] = {"kernel_size": (1, 1), "kernel_init": conv_glorot()}
        return self._layer(x, self.conv, "shortcut", **window)

    def _layer(
        self,
        x: Array,
        layer: Callable[..., nn.Module],
        name: str,
        features: int | None = None,
        **fields: Any,
    ) -> Array:
        return layer(
            features or self.features,
            **fields,
            **parametrization.field(self.parametrization),
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name=name,
        )(x)


class UpBlock(_Residual):
    """Norm, ReLU, upsampling 3x3, norm, ReLU, 3x3; shortcut: upsampled 1x1.

    Attributes:
        upsample_conv: class of the upsampling convolution.
        batch_norm: whether to normalize.
        classes: number of classes of the conditional normalization; 0 for none.
    """

    upsample_conv: Callable[..., nn.Module] = UpsampleConv
    batch_norm: bool = True
    classes: int = 0

    @nn.compact
    def __call__(self, x: Array, labels: Array | None, *, train: bool) -> Array:
        """Maps ``[B, h, w, I] -> [B, 2h, 2w, features]``."""
        # A 1x1 convolution commutes with pixel repetition. Applied first, it costs a
        # quarter.
        shortcut = repeat(self._shortcut(x))
        x = nn.relu(normalize_maps(self, x, labels, name="norm_0", train=train))
        x = self._conv_0(x, self.upsample_conv)
        x = nn.relu(normalize_maps(self, x, labels, name="norm_1", train=train))
        return shortcut + self._conv_1(x, self.conv)


class DownBlock(_Residual):
    """ReLU, 3x3, ReLU, pooled 3x3; shortcut: pooled 1x1.

    Attributes:
        conv_mean_pool: class of the pooled convolution.
        first: whether the input is the image; if so, the first ReLU is omitted.
        layer_norm: whether to apply layer normalization before each ReLU.
        hidden: channels of the map inside the block; None for ``features``.
    """

    conv_mean_pool: Callable[..., nn.Module] = ConvMeanPool
    first: bool = False
    layer_norm: bool = False
    hidden: int | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps ``[B, H, W, I] -> [B, H/2, W/2, features]``."""
        # A 1x1 convolution commutes with the mean. Applied last, it costs a quarter.
        # The authors' first block uses this order; in their other blocks the result
        # is equal.
        shortcut = self._shortcut(mean_pool(x))
        if not self.first:
            x = nn.relu(self._norm(x, "norm_0"))
        x = self._conv_0(x, self.conv, self.hidden)
        x = nn.relu(self._norm(x, "norm_1"))
        return shortcut + self._conv_1(x, self.conv_mean_pool)

    def _norm(self, x: Array, name: str) -> Array:
        if not self.layer_norm:
            return x
        return LayerNorm(dtype=self.dtype, param_dtype=self.param_dtype, name=name)(x)


class Block(_Residual):
    """ReLU, 3x3, ReLU, 3x3; shortcut: identity."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps ``[B, H, W, features]`` to the same shape."""
        y = self._conv_0(nn.relu(x), self.conv)
        return x + self._conv_1(nn.relu(y), self.conv)


def grow(
    generator: Any,
    latent: Array,
    labels: Array | None,
    *,
    base: Base,
    widths: Sequence[int],
    inner_bias: bool,
    output_init: Initializer,
    train: bool,
) -> Array:
    """Computes a residual generator's output, inside its ``__call__``.

    Args:
        generator: module with the fields of the residual generators.
        latent: ``[B, Z]``.
        labels: int32 ``[B]``, or None.
        base: the initial map.
        widths: channels of each block, one for each doubling; the initial map has
            those of the first block.
        inner_bias: whether the first convolution of a block has a bias.
        output_init: initializer of the last convolution.
        train: mode of batch normalization.

    Returns:
        ``[B, H, W, C]`` in (-1, 1).
    """
    dtypes = {"dtype": generator.dtype, "param_dtype": generator.param_dtype}
    units = base.height * base.width * widths[0]
    project = Dense(units, kernel_init=_LINEAR, **dtypes, name="project")
    x = project(latent).reshape(-1, base.height, base.width, widths[0])
    for index, width in enumerate(widths):
        x = UpBlock(
            width,
            inner_bias=inner_bias,
            batch_norm=generator.batch_norm,
            classes=generator.classes,
            conv=generator.conv,
            upsample_conv=generator.upsample_conv,
            **dtypes,
            name=f"block_{index}",
        )(x, labels, train=train)
    if generator.batch_norm:  # unconditional, as in the authors' code
        x = BatchNorm(**dtypes, name="norm_output")(x, train=train)
    x = generator.conv(
        generator.image_shape[-1],
        kernel_size=(3, 3),
        kernel_init=output_init,
        **dtypes,
        name="output",
    )(nn.relu(x))
    return jnp.tanh(x)


def mean_pool(x: Array) -> Array:
    """Averages each 2x2 patch."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return jnp.mean(x, (2, 4))


def repeat(x: Array) -> Array:
    """Repeats each pixel twice along both sides."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return x.reshape(batch, 2 * height, 2 * width, channels)
