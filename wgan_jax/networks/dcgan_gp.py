"""Convolutional networks of the WGAN-GP paper: 5x5 kernels, linear ends."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks import heads, parametrization
from wgan_jax.networks.heads import HeadName
from wgan_jax.networks.labels import check_generator
from wgan_jax.networks.layers import Conv, ConvTranspose, Dense, conv_he, drop
from wgan_jax.networks.normalization import BatchNorm, normalize_maps
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.ranges import Decay
from wgan_jax.types import Array

_LINEAR = nn.initializers.glorot_uniform()
_SMALLEST = 4  # largest shorter side of the smallest map


def _maps(size: Sequence[int], owner: str) -> list[tuple[int, int]]:
    """Returns the sizes of the maps up to ``(H, W)``.

    Each is half the next one, rounded up, and the shorter side of the first one is
    3 or 4.
    """
    if len(size) != 3 or min(size[:2]) <= _SMALLEST:
        hint = "" if len(size) == 3 else "; mlp takes examples of any shape"
        raise ValueError(
            f"DCGAN-GP {owner}: image shape is {tuple(size)}; it must be (H, W, C) "
            f"with sides of at least {_SMALLEST + 1}{hint}."
        )
    maps = [(size[0], size[1])]
    while min(maps[0]) > _SMALLEST:
        height, width = maps[0]
        maps.insert(0, (-(-height // 2), -(-width // 2)))
    return maps


class Generator(nn.Module):
    """A linear layer to 4x4, then 5x5 transposed convolutions with stride 2.

    Where repeatedly halving the shorter side and rounding up does not give 4, the
    first map has a shorter side of 3.

    Attributes:
        image_shape: ``(H, W, C)`` with sides of at least 5. A map that grows
            beyond its side is cropped: for 28 pixels, the sides are 4, 8 cropped
            to 7, 14, 28.
        width: channels of the largest map; each smaller map has twice as many.
        batch_norm: whether to normalize all maps except the image. The first
            map is normalized per unit, before it is reshaped, as in the
            authors' code.
        classes: number of classes of the conditional normalization; 0 for none.
        conv_transpose: layer class, with flax's fields and a kernel
            ``[K, K, O, I]``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        The CIFAR-10 and MNIST networks in the code of Gulrajani et al. 2017,
        arXiv:1704.00028. There, the MNIST generator ends in a sigmoid; here it
        ends in a tanh, because images are in [-1, 1].
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
        """Maps ``[B, Z] -> [B, H, W, C]`` in (-1, 1); labels ``[B]`` if conditional."""
        maps = _maps(self.image_shape, "generator")
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
        features = self.width * 2 ** (len(maps) - 2)
        height, width = maps[0]
        units = height * width * features
        project = Dense(units, kernel_init=_LINEAR, **dtypes, name="project")
        x = self._norm(project(latent), labels, "norm_project", train)
        x = x.reshape(-1, height, width, features)
        for index, (height, width) in enumerate(maps[1:-1]):
            features //= 2
            x = layer(features, name=f"conv_{index}")(x)
            x = self._norm(x, labels, f"norm_{index}", train)[:, :height, :width]
        x = layer(self.image_shape[-1], name="output")(x)
        height, width = maps[-1]
        return jnp.tanh(x[:, :height, :width])

    def _norm(self, x: Array, labels: Array | None, name: str, train: bool) -> Array:
        return nn.relu(normalize_maps(self, x, labels, name=name, train=train))


class Critic(nn.Module):
    """Convolutions with stride 2 down to 4x4 or 3x3, then a linear layer.

    Of images that are not square, this is the shorter side.

    Attributes:
        width: channels of the first map; each smaller map has twice as many.
        batch_norm: whether to normalize all maps except the first, as the
            authors' code does for weight clipping. Not suitable for a gradient
            penalty.
        kernel_size: side of the kernels. With 4, a critic costs two thirds, and
            differs from the DCGAN critic by biases and initial weights.
        dropout: rate in [0, 1) after all maps but the first. It is active only
            in passes with the rng stream ``dropout``.
        parametrization: of every kernel; a key of ``PARAMETRIZATIONS``.
        classes: number of classes; 0 for an unconditional critic.
        head: how labels are used: ``"projection"`` (also if empty) or
            ``"auxiliary"``.
        conv: layer class, with flax's fields and a kernel ``[K, K, I, O]``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        The CIFAR-10 and MNIST networks in the code of Gulrajani et al. 2017,
        arXiv:1704.00028.
    """

    width: int = 128
    batch_norm: bool = False
    kernel_size: int = 5
    dropout: Decay = 0.0
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
        """Maps ``[B, H, W, C] -> [B]``; labels ``[B]`` if conditional."""
        maps = _maps(images.shape[1:], "critic")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = images
        for index in range(len(maps) - 1):
            x = self.conv(
                self.width * 2**index,
                kernel_size=(self.kernel_size, self.kernel_size),
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
            if index > 0:
                x = drop(self, x, f"dropout_{index}", owner="DCGAN-GP critic")
        return heads.score(
            self,
            x.reshape(x.shape[0], -1),
            labels,
            owner="DCGAN-GP critic",
            kernel_init=_LINEAR,
        )
