"""Fully connected networks for examples of any shape, as flat vectors."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks.layers import Dense, score_dtype
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.types import Array

_HIDDEN = nn.initializers.he_uniform()
_OUTPUT = nn.initializers.glorot_uniform()


class _Hidden(nn.Module):
    """``layers`` ReLU layers of equal width, applied to flattened input."""

    width: int
    layers: int
    dtype: Any
    param_dtype: Any
    parametrization: str = "plain"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = x.reshape(x.shape[0], -1)
        for index in range(self.layers):
            x = Dense(
                self.width,
                kernel_init=_HIDDEN,
                parametrization=self.parametrization,
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                name=f"dense_{index}",
            )(x)
            x = nn.relu(x)
        return x


class Generator(nn.Module):
    """ReLU layers and a linear layer, unbounded by default.

    Attributes:
        image_shape: shape of one example, such as ``(D,)``, ``(T, C)`` or
            ``(H, W, C)``, in row-major order.
        width: units of each hidden layer.
        layers: number of hidden layers.
        bounded: whether to apply a tanh, for images in (-1, 1).
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        The toy networks in the code of Gulrajani et al. 2017, arXiv:1704.00028.
    """

    image_shape: tuple[int, ...] = (2,)
    width: int = 512
    layers: int = 3
    bounded: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, latent: Array, *, train: bool) -> Array:
        """Maps ``[B, Z] -> [B, *image_shape]``; independent of ``train``."""
        x = _Hidden(
            self.width, self.layers, self.dtype, self.param_dtype, name="hidden"
        )(latent)
        x = Dense(
            math.prod(self.image_shape),
            kernel_init=_OUTPUT,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="output",
        )(x)
        if self.bounded:
            x = jnp.tanh(x)
        return x.reshape(x.shape[0], *self.image_shape)


class Critic(nn.Module):
    """ReLU layers and a linear layer.

    Attributes:
        width: units of each hidden layer.
        layers: number of hidden layers.
        parametrization: of every kernel; a key of ``PARAMETRIZATIONS``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        The toy networks in the code of Gulrajani et al. 2017, arXiv:1704.00028.
    """

    width: int = 512
    layers: int = 3
    parametrization: Parametrization = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32
    joint_pass = True

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Maps ``[B, ...] -> [B]``."""
        x = _Hidden(
            self.width,
            self.layers,
            self.dtype,
            self.param_dtype,
            self.parametrization,
            name="hidden",
        )(images)
        self.sow("intermediates", "features", x)
        x = Dense(
            1,
            kernel_init=_OUTPUT,
            parametrization=self.parametrization,
            dtype=score_dtype(self.dtype),
            param_dtype=self.param_dtype,
            name="output",
        )(x)
        return x.reshape(-1)
