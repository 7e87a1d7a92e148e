"""The residual pair of the gradient-penalty paper."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks.layers import (
    BatchNorm,
    Conv,
    ConvMeanPool,
    UpsampleConv,
    conv_glorot,
    conv_he,
)
from wgan_jax.types import Array

_LINEAR = nn.initializers.glorot_uniform()


class _Residual(nn.Module):
    """What the blocks share: 3x3 convolutions and linear 1x1 shortcuts."""

    features: int
    dtype: Any
    param_dtype: Any

    def _conv(self, x: Array, layer: Callable[..., nn.Module], name: str) -> Array:
        return layer(
            self.features,
            kernel_size=(3, 3),
            kernel_init=conv_he(),
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name=name,
        )(x)

    def _shortcut(self, x: Array, layer: Callable[..., nn.Module]) -> Array:
        return layer(
            self.features,
            kernel_size=(1, 1),
            kernel_init=conv_glorot(),
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="shortcut",
        )(x)


class _UpBlock(_Residual):
    """Norm, ReLU, upsampling 3x3, norm, ReLU, 3x3; shortcut upsampled 1x1."""

    batch_norm: bool
    conv: Callable[..., nn.Module]
    upsample_conv: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        # A 1x1 convolution commutes with the repetition of pixels: done before
        # it, it costs a quarter.
        shortcut = _repeat(self._shortcut(x, self.conv))
        x = nn.relu(self._norm(x, "norm_0", train))
        x = self._conv(x, self.upsample_conv, "conv_0")
        x = nn.relu(self._norm(x, "norm_1", train))
        return shortcut + self._conv(x, self.conv, "conv_1")

    def _norm(self, x: Array, name: str, train: bool) -> Array:
        if not self.batch_norm:
            return x
        norm = BatchNorm(dtype=self.dtype, param_dtype=self.param_dtype, name=name)
        return norm(x, train=train)


class _DownBlock(_Residual):
    """ReLU, 3x3, ReLU, pooled 3x3; shortcut pooled 1x1. First: no leading ReLU."""

    first: bool
    conv: Callable[..., nn.Module]
    conv_mean_pool: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        # A 1x1 convolution commutes with the mean: done after it, it costs a
        # quarter. The authors' first block has this order, the others the same value.
        shortcut = self._shortcut(_mean_pool(x), self.conv)
        if not self.first:
            x = nn.relu(x)
        x = nn.relu(self._conv(x, self.conv, "conv_0"))
        return shortcut + self._conv(x, self.conv_mean_pool, "conv_1")


class _Block(_Residual):
    """ReLU, 3x3, ReLU, 3x3, and the input itself."""

    conv: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = self._conv(nn.relu(x), self.conv, "conv_0")
        return x + self._conv(nn.relu(y), self.conv, "conv_1")


class Generator(nn.Module):
    """A linear layer to 4x4, residual blocks that double, a 3x3 convolution.

    Attributes:
        image_shape: ``(S, S, C)`` with S = 4 * 2^k; k blocks make it.
        width: channels of every map.
        batch_norm: whether to normalise before each rectifier.
        conv: class of the plain convolutions, flax's fields.
        upsample_conv: class of the upsampling ones.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, appendix F, in the form of
        their code.
    """

    image_shape: tuple[int, ...] = (32, 32, 3)
    width: int = 128
    batch_norm: bool = True
    conv: Callable[..., nn.Module] = Conv
    upsample_conv: Callable[..., nn.Module] = UpsampleConv
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, *, train: bool) -> Array:
        """``[B, Z] -> [B, S, S, C]`` in (-1, 1)."""
        blocks = self._blocks()
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = nn.Dense(16 * self.width, kernel_init=_LINEAR, **dtypes, name="project")(
            latent
        )
        x = x.reshape(-1, 4, 4, self.width)
        for index in range(blocks):
            x = _UpBlock(
                self.width,
                batch_norm=self.batch_norm,
                conv=self.conv,
                upsample_conv=self.upsample_conv,
                **dtypes,
                name=f"block_{index}",
            )(x, train=train)
        if self.batch_norm:
            x = BatchNorm(**dtypes, name="norm_output")(x, train=train)
        x = self.conv(
            self.image_shape[-1],
            kernel_size=(3, 3),
            kernel_init=conv_glorot(),
            **dtypes,
            name="output",
        )(nn.relu(x))
        return jnp.tanh(x)

    def _blocks(self) -> int:
        size = self.image_shape
        blocks = size[0].bit_length() - 3
        if len(size) != 3 or size[0] != size[1] or blocks < 1 or size[0] != 4 << blocks:
            raise ValueError(
                f"ResNet generator: image shape is {size}, and must be (S, S, C) with "
                "S = 4 * 2^k for k of at least 1."
            )
        return blocks


class Critic(nn.Module):
    """Two residual blocks that halve, two that do not, a mean, a linear layer.

    There is no normalisation, so scores of different examples never mix.

    Attributes:
        width: channels of every map.
        conv: class of the plain convolutions, flax's fields.
        conv_mean_pool: class of the pooled ones.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, appendix F, in the form of
        their code.
    """

    width: int = 128
    conv: Callable[..., nn.Module] = Conv
    conv_mean_pool: Callable[..., nn.Module] = ConvMeanPool
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """``[B, H, W, C] -> [B]``, sides divisible by 4; the same in both modes."""
        if images.ndim != 4 or images.shape[1] % 4 or images.shape[2] % 4:
            raise ValueError(
                f"ResNet critic: image shape is {images.shape[1:]}, and must be "
                "(H, W, C) with sides divisible by 4."
            )
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = images
        for index in range(2):
            x = _DownBlock(
                self.width,
                first=index == 0,
                conv=self.conv,
                conv_mean_pool=self.conv_mean_pool,
                **dtypes,
                name=f"block_{index}",
            )(x)
        for index in range(2, 4):
            block = _Block(self.width, conv=self.conv, **dtypes, name=f"block_{index}")
            x = block(x)
        x = jnp.mean(nn.relu(x), (1, 2))
        x = nn.Dense(1, kernel_init=_LINEAR, **dtypes, name="output")(x)
        return x.reshape(-1)


def _mean_pool(x: Array) -> Array:
    """Mean of each 2x2 patch."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return jnp.mean(x, (2, 4))


def _repeat(x: Array) -> Array:
    """Each pixel twice along both sides."""
    batch, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (batch, height, 2, width, 2, channels))
    return x.reshape(batch, 2 * height, 2 * width, channels)
