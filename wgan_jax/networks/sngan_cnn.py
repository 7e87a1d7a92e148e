"""Convolutional networks of the spectral normalization paper."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks import heads, parametrization
from wgan_jax.networks.heads import HeadName
from wgan_jax.networks.labels import check_generator
from wgan_jax.networks.layers import Conv, ConvTranspose, Dense, normal_init
from wgan_jax.networks.normalization import normalize_maps
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.networks.sizes import nearest_sizes
from wgan_jax.types import Array


def _check_size(size: tuple[int, ...], owner: str) -> None:
    if len(size) != 3 or not _fits(size[0], size[1]):
        raise ValueError(
            f"SN-GAN {owner}: image shape is {tuple(size)}; it must be (H, W, C) with "
            f"sides divisible by 8{nearest_sizes(size, _fits)}"
        )


def _fits(height: int, width: int) -> bool:
    return min(height, width) > 0 and height % 8 == width % 8 == 0


class Generator(nn.Module):
    """A linear layer, three 4x4 transposed convolutions, and a 3x3 convolution.

    The linear layer makes a map of an eighth of the sides.

    The layers are those of the paper. As in pytorch-gan-collections, the linear
    layer is also followed by normalization.

    Attributes:
        image_shape: ``(H, W, C)`` with sides divisible by 8.
        width: channels of the largest map; each smaller map has twice as many.
        batch_norm: whether to normalize all maps except the image.
        classes: number of classes of the conditional normalization; 0 for none.
        conv: class of the last layer, with flax's fields.
        conv_transpose: class of the other layers, with flax's fields and a
            kernel ``[K, K, O, I]``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        Miyato et al. 2018, arXiv:1802.05957, table 3a.
    """

    image_shape: tuple[int, ...] = (32, 32, 3)
    width: int = 64
    batch_norm: bool = True
    classes: int = 0
    conv: Callable[..., nn.Module] = Conv
    conv_transpose: Callable[..., nn.Module] = ConvTranspose
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, latent: Array, labels: Array | None = None, *, train: bool
    ) -> Array:
        """Maps ``[B, Z] -> [B, H, W, C]`` in (-1, 1); labels ``[B]`` if conditional."""
        _check_size(self.image_shape, "generator")
        check_generator(
            "SN-GAN generator", self.classes, labels, batch_norm=self.batch_norm
        )
        height, width = (side // 8 for side in self.image_shape[:2])
        shared = {
            "kernel_init": normal_init,
            "dtype": self.dtype,
            "param_dtype": self.param_dtype,
        }
        units = height * width * 8 * self.width
        x = Dense(units, **shared, name="project")(latent)
        x = x.reshape(-1, height, width, 8 * self.width)
        x = self._norm(x, labels, "norm_project", train)
        for index in range(3):
            features = self.width * 2 ** (2 - index)
            x = self.conv_transpose(
                features, kernel_size=(4, 4), strides=2, **shared, name=f"conv_{index}"
            )(x)
            x = self._norm(x, labels, f"norm_{index}", train)
        channels = self.image_shape[-1]
        x = self.conv(channels, kernel_size=(3, 3), **shared, name="output")(x)
        return jnp.tanh(x)

    def _norm(self, x: Array, labels: Array | None, name: str, train: bool) -> Array:
        return nn.relu(normalize_maps(self, x, labels, name=name, train=train))


class Critic(nn.Module):
    """Seven convolutions, alternating 3x3 and stride-2 4x4, and a linear layer.

    With width w, the channels are w, 2w, 2w, 4w, 4w, 8w, 8w, as in
    pytorch-gan-collections, whose published clipping and penalty results use
    this pair of networks. In the paper's table, they are w, w, 2w, 2w, 4w, 4w,
    8w. SN-GAN uses ``parametrization="spectral"``.

    Attributes:
        width: channels of the first map.
        parametrization: of every kernel; a key of ``PARAMETRIZATIONS``.
        classes: number of classes; 0 for an unconditional critic.
        head: how labels are used: ``"projection"`` (also if empty) or
            ``"auxiliary"``.
        conv: layer class, with flax's fields and a kernel ``[K, K, I, O]``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        Miyato et al. 2018, arXiv:1802.05957, table 3b.
    """

    width: int = 64
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
        """Maps ``[B, H, W, C] -> [B]``; labels ``[B]`` if conditional.

        H and W must be divisible by 8.
        """
        _check_size(images.shape[1:], "critic")
        layer = partial(
            self.conv,
            kernel_init=normal_init,
            **parametrization.field(self.parametrization),
            dtype=self.dtype,
            param_dtype=self.param_dtype,
        )
        x = images
        for index in range(7):
            window = {"kernel_size": (3, 3), "strides": 1}
            if index % 2:
                window = {"kernel_size": (4, 4), "strides": 2}
            features = self.width * 2 ** ((index + 1) // 2)
            x = nn.leaky_relu(layer(features, **window, name=f"conv_{index}")(x), 0.1)
        return heads.score(
            self,
            x.reshape(x.shape[0], -1),
            labels,
            owner="SN-GAN critic",
            kernel_init=normal_init,
        )
