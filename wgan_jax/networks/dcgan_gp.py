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
from wgan_jax.networks.sizes import nearest_sides
from wgan_jax.ranges import Decay
from wgan_jax.types import Array

_LINEAR = nn.initializers.glorot_uniform()


def _sides(size: Sequence[int], owner: str) -> list[int]:
    """Returns the map sides from 4 up to S, each half the next one, rounded up."""
    if len(size) != 3 or size[0] != size[1] or not _fits(size[0]):
        raise ValueError(
            f"DCGAN-GP {owner}: image shape is {tuple(size)}; it must be (S, S, C), "
            "where S is at least 8 and repeated halving, rounded up, reaches 4, such "
            f"as 8, 28, 32 or 64{nearest_sides(size, _fits)}"
        )
    return _halved(size[0])


def _halved(side: int) -> list[int]:
    sides = [side]
    while sides[0] > 4:
        sides.insert(0, -(-sides[0] // 2))
    return sides


def _fits(side: int) -> bool:
    sides = _halved(side)
    return sides[0] == 4 and len(sides) > 1


class Generator(nn.Module):
    """A linear layer to 4x4, then 5x5 transposed convolutions with stride 2.

    Attributes:
        image_shape: ``(S, S, C)``, where repeatedly halving S and rounding up
            gives 4. A map that grows beyond its side is cropped: for S = 28,
            the sides are 4, 8 cropped to 7, 14, 28.
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
        """Maps ``[B, Z] -> [B, S, S, C]`` in (-1, 1); labels ``[B]`` if conditional."""
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
    """Convolutions with stride 2 down to 4x4, then a linear layer.

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
        """Maps ``[B, S, S, C] -> [B]``; labels ``[B]`` if conditional."""
        sides = _sides(images.shape[1:], "critic")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = images
        for index in range(len(sides) - 1):
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
