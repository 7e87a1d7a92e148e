"""The networks of a popular article, by its two formulas."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks.layers import Conv, Dense
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.types import Array

# The article is silent on weights. These keep an input's variance up to the
# nonlinearities, where neither is flat or saturated.
_INIT = nn.initializers.lecun_normal()


class Generator(nn.Module):
    r"""An outer product of two vectors for each color channel.

    .. math:: h = \tanh(W_2 z + b_2), \qquad
        G(z) = \sigma(\tfrac12 W z + b)\, h^T

    The first vector, in (0, 1), runs down the rows and the second, in (-1, 1),
    along the columns. By the letter of the article each channel is a matrix of
    rank 1, its range that of the data. With ``rank`` r above 1 it is the sum of r
    such products, whose range (-r, r) a tanh brings back to the data's: a mean
    would too, but could hardly draw on a background of -1, since each of its
    terms would have to be -1 there.

    Attributes:
        image_shape: ``(H, W, C)``.
        rank: r, at least 1; 1 is the article's.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.
    """

    image_shape: tuple[int, ...] = (32, 32, 3)
    rank: int = 1
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, *, train: bool) -> Array:
        """``[B, Z] -> [B, H, W, C]`` in (-1, 1); the same in both modes."""
        if len(self.image_shape) != 3:
            raise ValueError(
                f"article generator: image shape is {self.image_shape}, and must be "
                "(H, W, C)."
            )
        if self.rank < 1:
            raise ValueError(
                f"article generator: rank is {self.rank}, and must be at least 1."
            )
        height, width, channels = self.image_shape
        down = nn.sigmoid(self._vectors(latent / 2, height, channels, "down"))
        along = jnp.tanh(self._vectors(latent, width, channels, "along"))
        images = jnp.einsum("bycr,bxcr->byxc", down, along)
        return images if self.rank == 1 else jnp.tanh(images)

    def _vectors(self, z: Array, side: int, channels: int, name: str) -> Array:
        """``[B, Z] -> [B, side, C, r]``, affine."""
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
    r"""One convolution, the article's nonlinearity, a fully connected layer.

    .. math:: f(x) = \tfrac12 (\tanh(W_1 x + b_1) + 1)^2, \qquad D(x) = w^T f(x) + b

    :math:`W_1` is convolutional and f in (0, 2). The article ends in a sigmoid;
    here that belongs to the objective, and the output is the logit.

    Attributes:
        width: channels of f.
        kernel_size: K, of the convolution.
        stride: of the convolution.
        parametrization: of both kernels, a row of ``PARAMETRIZATIONS``.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.
    """

    width: int = 64
    kernel_size: int = 5
    stride: int = 2
    parametrization: Parametrization = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """``[B, H, W, C] -> [B]``."""
        if images.ndim != 4:
            raise ValueError(
                f"article critic: image shape is {images.shape[1:]}, and must be "
                "(H, W, C)."
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
        return Dense(1, **shared, name="output")(x).reshape(-1)
