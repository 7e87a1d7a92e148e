"""DCGAN as in the first Wasserstein GAN paper: 4x4 convolutions with stride 2."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks import heads, parametrization
from wgan_jax.networks.heads import HeadName
from wgan_jax.networks.labels import check_generator, check_labels
from wgan_jax.networks.layers import (
    Conv,
    ConvTranspose,
    drop,
    normal_init,
    scale_init,
    score_dtype,
)
from wgan_jax.networks.normalization import BatchNorm
from wgan_jax.networks.parametrization import Parametrization
from wgan_jax.networks.sizes import base_of
from wgan_jax.ranges import Decay
from wgan_jax.types import Array


class Generator(nn.Module):
    """Transposed convolutions starting from one pixel, with batch normalization.

    Attributes:
        image_shape: ``(H, W, C)`` as for ``base_of``, which gives the smallest map.
        width: channels of the largest map; each smaller map has twice as many.
        batch_norm: whether to normalize all maps except the image.
        classes: number of classes of the conditional normalization; 0 for none.
        conv_transpose: layer class, with flax's fields and a kernel
            ``[K, K, O, I]``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        Radford, Metz, Chintala 2015, arXiv:1511.06434, section 3, as
        implemented in the code of Arjovsky, Chintala, Bottou 2017,
        arXiv:1701.07875.
    """

    image_shape: tuple[int, ...] = (64, 64, 3)
    width: int = 64
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
        height, width, doublings = base_of(self.image_shape, "DCGAN generator")
        check_generator(
            "DCGAN generator", self.classes, labels, batch_norm=self.batch_norm
        )
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        layer = partial(
            self.conv_transpose, use_bias=False, kernel_init=normal_init, **dtypes
        )
        x = latent.reshape(latent.shape[0], 1, 1, -1)
        for index in range(doublings):
            features = self.width * 2 ** (doublings - 1 - index)
            window: dict[str, Any] = {"kernel_size": (4, 4), "strides": 2}
            if index == 0:
                window = {"kernel_size": (height, width), "padding": "VALID"}
            x = layer(features, **window, name=f"conv_{index}")(x)
            if self.batch_norm:
                norm = BatchNorm(
                    self.classes, scale_init=scale_init, **dtypes, name=f"norm_{index}"
                )
                x = norm(x, labels, train=train)
            x = nn.relu(x)
        channels = self.image_shape[-1]
        x = layer(channels, kernel_size=(4, 4), strides=2, name="output")(x)
        return jnp.tanh(x)


class Critic(nn.Module):
    """Convolutions down to one score, with optional batch normalization.

    Batch normalization makes each score depend on the whole batch. It works
    with weight clipping, but not with a penalty on per-example gradients.

    Attributes:
        width: channels of the first map; each smaller map has twice as many.
        batch_norm: whether to normalize all maps except the first.
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
        Radford, Metz, Chintala 2015, arXiv:1511.06434, section 3, as
        implemented in the code of Arjovsky, Chintala, Bottou 2017,
        arXiv:1701.07875.
    """

    width: int = 64
    batch_norm: bool = True
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
        height, width, halvings = base_of(images.shape[1:], "DCGAN critic")
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        layer = partial(
            self.conv,
            use_bias=False,
            kernel_init=normal_init,
            **parametrization.field(self.parametrization),
            **dtypes,
        )
        x = images
        for index in range(halvings):
            features = self.width * 2**index
            x = layer(features, kernel_size=(4, 4), strides=2, name=f"conv_{index}")(x)
            if self.batch_norm and index > 0:
                norm = BatchNorm(scale_init=scale_init, **dtypes, name=f"norm_{index}")
                x = norm(x, train=train)
            x = nn.leaky_relu(x, 0.2)
            if index > 0:
                x = drop(self, x, f"dropout_{index}", owner="DCGAN critic")
        features = x.reshape(x.shape[0], -1)
        if self.classes or self.head:
            return heads.score(
                self,
                features,
                labels,
                owner="DCGAN critic",
                kernel_init=normal_init,
                use_bias=False,
            )
        check_labels("DCGAN critic", self.classes, labels)
        self.sow("intermediates", "features", features)
        x = layer(
            1,
            kernel_size=(height, width),
            padding="VALID",
            dtype=score_dtype(self.dtype),
            name="output",
        )(x)
        return x.reshape(-1)
