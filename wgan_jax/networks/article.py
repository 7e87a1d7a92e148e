"""Generator and critic of a popular article (docs/article.md), by its two formulas."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks.layers import Conv, Dense, score_dtype
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.types import Array

# The article does not specify the initialization. This one preserves the variance of
# the input up to the nonlinearities, so that neither is flat or saturated.
_INIT = nn.initializers.lecun_normal()


class Generator(nn.Module):
    r"""Outer product of two vectors for each color channel.

    .. math:: h = \tanh(W_2 z + b_2), \qquad
        G(z) = \sigma(\tfrac12 W z + b)\, h^T

    The first vector, in (0, 1), varies over the rows, and the second, in
    (-1, 1), over the columns. As in the article, each channel is a matrix of
    rank 1 with the range of the data. With ``rank`` r > 1, it is the sum of r
    such products, and a tanh maps its range (-r, r) back to that of the data. A
    mean would also have the right range, but could hardly produce a background
    of -1, because every term would have to be -1 there.

    Attributes:
        image_shape: ``(H, W, C)``.
        rank: r, at least 1; 1 in the article.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.
    """

    image_shape: tuple[int, ...] = (32, 32, 3)
    rank: int = 1
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, *, train: bool) -> Array:
        """Maps ``[B, Z] -> [B, H, W, C]`` in (-1, 1); independent of ``train``."""
        if len(self.image_shape) != 3:
            raise ValueError(
                f"article generator: image shape is {self.image_shape}; it must be (H, "
                "W, C)."
            )
        if self.rank < 1:
            raise ValueError(
                f"article generator: rank is {self.rank}; it must be at least 1."
            )
        height, width, channels = self.image_shape
        down = nn.sigmoid(self._vectors(latent / 2, height, channels, "down"))
        along = jnp.tanh(self._vectors(latent, width, channels, "along"))
        images = jnp.einsum("bycr,bxcr->byxc", down, along)
        return images if self.rank == 1 else jnp.tanh(images)

    def _vectors(self, z: Array, side: int, channels: int, name: str) -> Array:
        """Maps ``[B, Z] -> [B, side, C, r]`` with an affine layer."""
        shape = (side, channels, self.rank)
        layer = Dense(
            math.prod(shape),
            kernel_init=_INIT,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name=name,
        )
        return layer(z).reshape(-1, *shape)


class Critic(nn.Module):
    r"""A convolution, the nonlinearity of the article, and a dense layer.

    .. math:: f(x) = \tfrac12 (\tanh(W_1 x + b_1) + 1)^2, \qquad D(x) = w^T f(x) + b

    :math:`W_1` is a convolution and f is in (0, 2). The article applies a
    sigmoid to the output. Here the output is the logit, and the sigmoid is part
    of the objective.

    Attributes:
        width: channels of f.
        kernel_size: side K of the convolution kernel.
        stride: stride of the convolution.
        parametrization: of both kernels; a key of ``PARAMETRIZATIONS``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.
    """

    width: int = 64
    kernel_size: int = 5
    stride: int = 2
    parametrization: Parametrization = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Maps ``[B, H, W, C] -> [B]``."""
        if images.ndim != 4:
            raise ValueError(
                f"article critic: image shape is {images.shape[1:]}; it must be (H, W, "
                "C)."
            )
        shared = {
            "kernel_init": _INIT,
            "parametrization": self.parametrization,
            "dtype": self.dtype,
            "param_dtype": self.param_dtype,
        }
        window = (self.kernel_size, self.kernel_size)
        conv = Conv(self.width, window, self.stride, **shared, name="conv")
        x = jnp.square(jnp.tanh(conv(images)) + 1) / 2
        x = x.reshape(x.shape[0], -1)
        self.sow("intermediates", "features", x)
        shared["dtype"] = score_dtype(self.dtype)
        return Dense(1, **shared, name="output")(x).reshape(-1)
