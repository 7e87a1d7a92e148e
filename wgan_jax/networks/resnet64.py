"""Residual networks of the WGAN-GP code for 64x64 images."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks import heads, parametrization
from wgan_jax.networks.heads import HeadName
from wgan_jax.networks.labels import check_generator
from wgan_jax.networks.layers import (
    Conv,
    ConvMeanPool,
    UpsampleConv,
    conv_glorot,
    conv_he,
)
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.networks.residual import DownBlock, grow
from wgan_jax.networks.sizes import base_of
from wgan_jax.types import Array

_LINEAR = nn.initializers.glorot_uniform()


class Generator(nn.Module):
    """A linear layer to 4x4, upsampling residual blocks, and a 3x3 convolution.

    The 4x4 map and the first block have 2^(k-1) w channels. Each further block
    halves the number, down to w: 512, 512, 256, 128, 64 for 64 pixels. As in
    the authors' code, the first convolution of a block has no bias, and the
    output convolution uses the He initializer.

    Attributes:
        image_shape: ``(H, W, C)`` as for ``base_of``. The first map is 4x4 for
            squares of 4 * 2^k pixels, which k blocks produce.
        width: channels w of the largest map.
        batch_norm: whether to normalize before each ReLU.
        classes: number of classes of the conditional normalization in the
            blocks; 0 for none.
        conv: class of the plain convolutions, with flax's fields.
        upsample_conv: class of the upsampling convolutions.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        ``GoodGenerator`` in the code of Gulrajani et al. 2017,
        arXiv:1704.00028.
    """

    image_shape: tuple[int, ...] = (64, 64, 3)
    width: int = 64
    batch_norm: bool = True
    classes: int = 0
    conv: Callable[..., nn.Module] = Conv
    upsample_conv: Callable[..., nn.Module] = UpsampleConv
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, latent: Array, labels: Array | None = None, *, train: bool
    ) -> Array:
        """Maps ``[B, Z] -> [B, H, W, C]`` in (-1, 1); labels ``[B]`` if conditional."""
        owner = "ResNet-64 generator"
        base = base_of(self.image_shape, owner)
        check_generator(owner, self.classes, labels, batch_norm=self.batch_norm)
        return grow(
            self,
            latent,
            labels,
            base=base,
            widths=[self.width * 2**k for k in reversed(range(base.doublings))],
            inner_bias=False,
            output_init=conv_he(),
            train=train,
        )


class Critic(nn.Module):
    """A 3x3 convolution, residual blocks down to 4x4, and a linear layer.

    The first map has w channels. Each block but the last doubles the number:
    64, 128, 256, 512, 512 for 64 pixels. Each example is normalized on its own,
    so scores of different examples are independent.

    Attributes:
        width: channels w of the largest map.
        layer_norm: whether to normalize before each ReLU.
        parametrization: of every kernel; a key of ``PARAMETRIZATIONS``.
        classes: number of classes; 0 for an unconditional critic.
        head: how labels are used: ``"projection"`` (also if empty) or
            ``"auxiliary"``.
        conv: class of the plain convolutions, with flax's fields.
        conv_mean_pool: class of the pooled convolutions.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        ``GoodDiscriminator`` in the code of Gulrajani et al. 2017,
        arXiv:1704.00028.
    """

    width: int = 64
    layer_norm: bool = True
    parametrization: Parametrization = "plain"
    classes: int = 0
    head: HeadName = ""
    conv: Callable[..., nn.Module] = Conv
    conv_mean_pool: Callable[..., nn.Module] = ConvMeanPool
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Array, labels: Array | None = None, *, train: bool
    ) -> Array:
        """Maps ``[B, H, W, C] -> [B]``; labels ``[B]`` if conditional."""
        owner = "ResNet-64 critic"
        blocks = base_of(images.shape[1:], owner).doublings
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = self.conv(
            self.width,
            kernel_size=(3, 3),
            kernel_init=conv_glorot(),
            **parametrization.field(self.parametrization),
            **dtypes,
            name="input",
        )(images)
        for index in range(blocks):
            x = DownBlock(
                self.width * 2 ** min(index + 1, blocks - 1),
                hidden=x.shape[-1],
                inner_bias=False,
                layer_norm=self.layer_norm,
                parametrization=self.parametrization,
                conv=self.conv,
                conv_mean_pool=self.conv_mean_pool,
                **dtypes,
                name=f"block_{index}",
            )(x)
        return heads.score(
            self,
            x.reshape(x.shape[0], -1),
            labels,
            owner=owner,
            kernel_init=_LINEAR,
        )
