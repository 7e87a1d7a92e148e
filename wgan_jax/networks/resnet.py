"""Residual networks of the WGAN-GP paper, and variants of them."""

from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks import heads
from wgan_jax.networks.heads import HeadName
from wgan_jax.networks.labels import check_generator
from wgan_jax.networks.layers import (
    Conv,
    ConvMeanPool,
    UpsampleConv,
    conv_glorot,
)
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.networks.residual import Block, DownBlock, grow
from wgan_jax.networks.sizes import base_of
from wgan_jax.types import Array

_LINEAR = nn.initializers.glorot_uniform()


class Generator(nn.Module):
    """A linear layer to 4x4, upsampling residual blocks, and a 3x3 convolution.

    The paper uses width 128; the generator of SN-GAN has width 256.

    Attributes:
        image_shape: ``(H, W, C)`` as for ``base_of``. The first map is 4x4 for
            squares of 4 * 2^k pixels, which k blocks produce.
        width: channels of every map.
        batch_norm: whether to normalize before each ReLU.
        classes: number of classes of the conditional normalization in the
            blocks; 0 for none. The last normalization is unconditional, as in
            the authors' code.
        conv: class of the plain convolutions, with flax's fields.
        upsample_conv: class of the upsampling convolutions.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, appendix F, as implemented in
        their code.
    """

    image_shape: tuple[int, ...] = (32, 32, 3)
    width: int = 128
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
        owner = "ResNet generator"
        base = base_of(self.image_shape, owner)
        check_generator(owner, self.classes, labels, batch_norm=self.batch_norm)
        return grow(
            self,
            latent,
            labels,
            base=base,
            widths=[self.width] * base.doublings,
            inner_bias=True,
            output_init=conv_glorot(),
            train=train,
        )


class Critic(nn.Module):
    """Two downsampling residual blocks, two plain ones, pooling, and a linear layer.

    There is no normalization, so scores of different examples are independent.
    The defaults are those of the paper. The critic of SN-GAN uses
    ``parametrization="spectral", pool="sum", output_bias=False``. The critic of
    CT-GAN uses ``dropout=(0.2, 0.5, 0.5)``.

    Attributes:
        width: channels of every map.
        parametrization: of every kernel; a key of ``PARAMETRIZATIONS``.
        pool: pooling of the last map, ``"mean"`` or ``"sum"``.
        output_bias: whether the score has a bias.
        dropout: rates in [0, 1) after each block but the first, or empty for
            none. Dropout is active in both modes if the caller passes the rng
            stream ``dropout``.
        classes: number of classes; 0 for an unconditional critic.
        head: how labels are used: ``"projection"`` (also if empty) or
            ``"auxiliary"``.
        conv: class of the plain convolutions, with flax's fields.
        conv_mean_pool: class of the pooled convolutions.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, appendix F, as implemented in
        their code; Miyato et al. 2018, arXiv:1802.05957, table 4; Wei et al.
        2018, arXiv:1803.01541, appendix, as implemented in their code.
    """

    width: int = 128
    parametrization: Parametrization = "plain"
    pool: Literal["mean", "sum"] = "mean"
    output_bias: bool = True
    dropout: tuple[float, ...] = ()
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
        """Maps ``[B, H, W, C] -> [B]``; labels ``[B]`` if conditional.

        H and W must be divisible by 4.
        """
        self._check(images)
        shared = {
            "conv": self.conv,
            "parametrization": self.parametrization,
            "dtype": self.dtype,
            "param_dtype": self.param_dtype,
        }
        x = images
        for index in range(4):
            name = f"block_{index}"
            if index < 2:
                x = DownBlock(
                    self.width,
                    first=index == 0,
                    conv_mean_pool=self.conv_mean_pool,
                    **shared,
                    name=name,
                )(x)
            else:
                x = Block(self.width, **shared, name=name)(x)
            x = self._drop(x, index)
        pool = jnp.mean if self.pool == "mean" else jnp.sum
        return heads.score(
            self,
            pool(nn.relu(x), (1, 2)),
            labels,
            owner="ResNet critic",
            kernel_init=_LINEAR,
            use_bias=self.output_bias,
        )

    def _drop(self, x: Array, index: int) -> Array:
        if index == 0 or not self.dropout:
            return x
        drop = nn.Dropout(self.dropout[index - 1], name=f"dropout_{index}")
        return drop(x, deterministic=not self.has_rng("dropout"))

    def _check(self, images: Array) -> None:
        if images.ndim != 4 or images.shape[1] % 4 or images.shape[2] % 4:
            raise ValueError(
                f"ResNet critic: image shape is {images.shape[1:]}; it must be (H, W, "
                "C) with sides divisible by 4."
            )
        if self.pool not in ("mean", "sum"):
            raise ValueError(
                f"ResNet critic: pool is {self.pool!r}; it must be 'mean' or 'sum'."
            )
        if len(self.dropout) not in (0, 3) or not all(0 <= p < 1 for p in self.dropout):
            raise ValueError(
                f"ResNet critic: dropout is {self.dropout}; it must be empty or three "
                "rates in [0, 1), one for each block but the first."
            )
