"""The convolutional pair of the gradient-penalty paper: 5x5 kernels, linear ends."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks import heads, parametrization
from wgan_jax.networks.heads import HeadName
from wgan_jax.networks.labels import check_generator
from wgan_jax.networks.layers import Conv, ConvTranspose, Dense, conv_he
from wgan_jax.networks.normalization import BatchNorm, normalize_maps
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.types import Array

_LINEAR = nn.initializers.glorot_uniform()


def _sides(size: Sequence[int], owner: str) -> list[int]:
    """Sides of the maps from 4 up to the image's, each half the next, rounded up."""
    sides = [size[0]]
    while sides[0] > 4:
        sides.insert(0, -(-sides[0] // 2))
    if len(size) != 3 or size[0] != size[1] or sides[0] != 4 or len(sides) < 2:
        raise ValueError(
            f"DCGAN-GP {owner}: image shape is {tuple(size)}, and must be (S, S, C) "
            "with S of at least 8 that halving with rounding up brings to 4, such as "
            "8, 28, 32 or 64."
        )
    return sides


class Generator(nn.Module):
    """A linear layer to 4x4, then 5x5 transposed convolutions of stride 2.

    Attributes:
        image_shape: ``(S, S, C)``; S halved with rounding up comes to 4 (a map
            that doubled past its side is cropped: 28 is 4, 8 cropped to 7, 14, 28).
        width: channels of the largest map; each smaller one has twice as many.
        batch_norm: whether to normalize all maps but the image. The first is
            normalized per unit, before it is made a map, as in the authors' code.
        classes: that the normalization tells apart; 0 for none.
        conv_transpose: the layer class, flax's fields and kernel ``[K, K, O, I]``.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.

    Reference:
        The CIFAR-10 and MNIST networks in the code of Gulrajani et al. 2017,
        arXiv:1704.00028 (MNIST there ends in a sigmoid; here images are in
        [-1, 1] and it is a tanh).
    """

    image_shape: tuple[int, ...] = (32, 32, 3)
    width: int = 128
    batch_norm: bool = True
    classes: int = 0
    conv_transpose: Callable[..., nn.Module] = ConvTranspose
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, latent: Array, labels: Array | None = None, *, train: bool
    ) -> Array:
        """``[B, Z] -> [B, S, S, C]`` in (-1, 1), with labels ``[B]`` if by class."""
        sides = _sides(self.image_shape, "generator")
        check_generator(
            "DCGAN-GP generator", self.classes, labels, batch_norm=self.batch_norm
        )
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        layer = partial(
            self.conv_transpose,
            kernel_size=(5, 5),
            strides=2,
            kernel_init=conv_he(stride=2),
            **dtypes,
        )
        features = self.width * 2 ** (len(sides) - 2)
        project = Dense(16 * features, kernel_init=_LINEAR, **dtypes, name="project")
        x = self._norm(project(latent), labels, "norm_project", train)
        x = x.reshape(-1, 4, 4, features)
        for index, side in enumerate(sides[1:-1]):
            features //= 2
            x = layer(features, name=f"conv_{index}")(x)
            x = self._norm(x, labels, f"norm_{index}", train)[:, :side, :side]
        x = layer(self.image_shape[-1], name="output")(x)
        return jnp.tanh(x[:, : sides[-1], : sides[-1]])

    def _norm(self, x: Array, labels: Array | None, name: str, train: bool) -> Array:
        return nn.relu(normalize_maps(self, x, labels, name=name, train=train))


class Critic(nn.Module):
    """5x5 convolutions of stride 2 down to 4x4, then a linear layer.

    Attributes:
        width: channels of the first map; each smaller one has twice as many.
        batch_norm: whether to normalize all maps but the first, as the authors'
            code does with clipped weights; unfit for a penalty.
        parametrization: of every kernel, a row of ``PARAMETRIZATIONS``.
        classes: 0 for a critic that knows none.
        head: how classes enter: ``"projection"``, also if empty, or
            ``"auxiliary"``.
        conv: the layer class, flax's fields and kernel ``[K, K, I, O]``.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.

    Reference:
        The CIFAR-10 and MNIST networks in the code of Gulrajani et al. 2017,
        arXiv:1704.00028.
    """

    width: int = 128
    batch_norm: bool = False
    parametrization: Parametrization = "plain"
    classes: int = 0
    head: HeadName = ""
    conv: Callable[..., nn.Module] = Conv
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Array, labels: Array | None = None, *, train: bool
    ) -> Array:
        """``[B, S, S, C] -> [B]``, with labels ``[B]`` if by class."""
        sides = _sides(images.shape[1:], "critic")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = images
        for index in range(len(sides) - 1):
            x = self.conv(
                self.width * 2**index,
                kernel_size=(5, 5),
                strides=2,
                kernel_init=conv_he(stride=2),
                **parametrization.field(self.parametrization),
                **dtypes,
                name=f"conv_{index}",
            )(x)
            if self.batch_norm and index > 0:
                norm = BatchNorm(0, **dtypes, name=f"norm_{index}")
                x = norm(x, train=train)
            x = nn.leaky_relu(x, 0.2)
        return heads.score(
            self,
            x.reshape(x.shape[0], -1),
            labels,
            owner="DCGAN-GP critic",
            kernel_init=_LINEAR,
        )
