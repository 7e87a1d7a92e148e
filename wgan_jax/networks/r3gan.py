"""Networks of R3GAN: grouped residual blocks without normalization."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from wgan_jax.networks.labels import Embedding, check_labels
from wgan_jax.networks.layers import (
    Conv,
    Dense,
    Initializer,
    add_bias,
    layer_parameters,
    score_dtype,
)
from wgan_jax.networks.sizes import Base, base_of
from wgan_jax.types import Array

_SLOPE = 0.2
# Preserves the second moment through a leaky ReLU with this slope.
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))


def _normal(gain: float = 1.0) -> Initializer:
    """Returns the initializer N(0, gain^2 / fan_in)."""
    return nn.initializers.variance_scaling(gain**2, "fan_in", "normal")


class GroupedConv(nn.Module):
    """Convolution of each group of channels with kernels of its own, and a bias.

    The parameters are those of flax's ``Conv`` with ``feature_group_count``. Unlike
    there, the gradient of the bias is summed in at least float32.

    Attributes:
        features: number of outputs O.
        side: side K of the kernels.
        groups: number of groups, which divides the numbers of inputs and outputs.
        kernel_init: initializer of the kernel ``[K, K, I / groups, O]``.
        bias_init: initializer of the bias.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.
    """

    features: int
    side: int
    groups: int
    kernel_init: Initializer
    bias_init: Initializer = nn.initializers.zeros_init()
    dtype: Any = None
    param_dtype: Any = jnp.float32
    parametrization = "plain"
    use_bias = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps ``[B, H, W, I] -> [B, H, W, features]``."""
        shape = (self.side, self.side, x.shape[-1] // self.groups, self.features)
        x, kernel, bias = layer_parameters(self, x, shape)
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=self.groups,
        )
        return add_bias(y, bias)


class _Block(nn.Module):
    """Residual block: widening 1x1, grouped 3x3, and zero-initialized narrowing 1x1.

    ``blocks`` is the number L of blocks in the network. The two kernels before
    a leaky ReLU are initialized with the usual scale times L^(-1/4).
    """

    expansion: int
    cardinality: int
    kernel_size: int
    blocks: int
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        features = self.expansion * x.shape[-1]
        if features % self.cardinality:
            raise ValueError(
                f"R3GAN: cardinality is {self.cardinality}; it must divide the "
                f"{features} channels of the grouped convolution (width * expansion)."
            )
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        init = _normal(_GAIN * self.blocks**-0.25)
        y = Conv(features, (1, 1), kernel_init=init, **dtypes, name="widen")(x)
        y = GroupedConv(
            features,
            self.kernel_size,
            self.cardinality,
            kernel_init=init,
            **dtypes,
            name="group",
        )(nn.leaky_relu(y, _SLOPE))
        return x + Conv(
            x.shape[-1],
            (1, 1),
            use_bias=False,
            kernel_init=nn.initializers.zeros_init(),
            **dtypes,
            name="narrow",
        )(nn.leaky_relu(y, _SLOPE))


class Generator(nn.Module):
    """A learned 4x4 basis scaled by the latent, then residual blocks at each size.

    The blocks, the basis, the resampling with [1, 2, 1], the initialization and
    the unbounded linear output follow the authors' small networks. All stages
    have the same width, as in the authors' CIFAR-10 preset (width 768,
    cardinality 96). The lower precision of some of their stages is not
    reproduced.

    Attributes:
        image_shape: ``(H, W, C)`` as for ``base_of``. The first map is 4x4 for
            squares of 4 * 2^k pixels, which k + 1 stages produce.
        width: channels of every map between blocks.
        blocks_per_stage: residual blocks at each size.
        cardinality: groups of the 3x3 convolutions; divides width * expansion.
        expansion: factor on the channels within a block.
        kernel_size: side of the grouped convolution kernels, odd.
        classes: number of classes; 0 for none. An embedding of the label is
            concatenated to the latent.
        embedding_size: size of that embedding.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        Huang, Gokaslan, Kuleshov, Tompkin 2024, arXiv:2501.05441, section 4 and
        configuration E.
    """

    image_shape: tuple[int, ...] = (32, 32, 3)
    width: int = 64
    blocks_per_stage: int = 2
    cardinality: int = 8
    expansion: int = 2
    kernel_size: int = 3
    classes: int = 0
    embedding_size: int = 64
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, latent: Array, labels: Array | None = None, *, train: bool
    ) -> Array:
        """Maps ``[B, Z] -> [B, H, W, C]``; labels ``[B]`` if conditional."""
        owner = "R3GAN generator"
        base = base_of(self.image_shape, owner)
        stages = base.doublings + 1
        check_labels(owner, self.classes, labels)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        if labels is not None:
            embed = Embedding(
                self.classes,
                self.embedding_size,
                kernel_init=nn.initializers.normal(self.classes**-0.5),
                **dtypes,
                name="embedding",
            )
            latent = jnp.concatenate([latent, embed(labels)], 1)
        linear = {"use_bias": False, "kernel_init": _normal(), **dtypes}
        x = Dense(self.width, **linear, name="project")(latent)
        basis = _basis(self, base, nn.initializers.normal(1.0))
        x = (x[:, None, None] * basis).astype(x.dtype)
        for stage in range(stages):
            x = upsample(x) if stage else x
            for index in range(self.blocks_per_stage):
                x = _block(self, stages, f"stage_{stage}_block_{index}")(x)
        return Conv(self.image_shape[-1], (1, 1), **linear, name="output")(x)


class Critic(nn.Module):
    """Mirror image of the generator: blocks at each size, then a learned 4x4 basis.

    With classes, the score is the inner product of ``width`` linear outputs and
    an embedding of the label. The generator's docstring describes what follows
    the authors' code.

    Attributes:
        width: channels of every map between blocks.
        blocks_per_stage: residual blocks at each size.
        cardinality: groups of the 3x3 convolutions; divides width * expansion.
        expansion: factor on the channels within a block.
        kernel_size: side of the grouped convolution kernels, odd.
        classes: number of classes; 0 for an unconditional critic.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.

    Reference:
        Huang, Gokaslan, Kuleshov, Tompkin 2024, arXiv:2501.05441, section 4 and
        configuration E.
    """

    width: int = 64
    blocks_per_stage: int = 2
    cardinality: int = 8
    expansion: int = 2
    kernel_size: int = 3
    classes: int = 0
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Array, labels: Array | None = None, *, train: bool
    ) -> Array:
        """Maps ``[B, H, W, C] -> [B]``; labels ``[B]`` if conditional."""
        owner = "R3GAN critic"
        base = base_of(images.shape[1:], owner)
        stages = base.doublings + 1
        check_labels(owner, self.classes, labels)
        dtypes = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        linear = {"use_bias": False, "kernel_init": _normal(), **dtypes}
        x = Conv(self.width, (1, 1), **linear, name="input")(images)
        for stage in range(stages):
            for index in range(self.blocks_per_stage):
                x = _block(self, stages, f"stage_{stage}_block_{index}")(x)
            x = downsample(x) if stage < stages - 1 else x
        scale = (base.height * base.width) ** -0.5  # 1 / 4 for the authors' 4x4
        x = jnp.sum(x * _basis(self, base, nn.initializers.normal(scale)), (1, 2))
        self.sow("intermediates", "features", x)
        linear["dtype"] = dtypes["dtype"] = score_dtype(self.dtype)
        if labels is None:
            return Dense(1, **linear, name="output")(x).reshape(-1)
        x = Dense(self.width, **linear, name="output")(x)
        embed = Embedding(
            self.classes,
            self.width,
            kernel_init=nn.initializers.normal((self.width * self.classes) ** -0.5),
            **dtypes,
            name="embedding",
        )
        return jnp.sum(x * embed(labels), 1)


def _block(player: Generator | Critic, stages: int, name: str) -> _Block:
    return _Block(
        player.expansion,
        player.cardinality,
        player.kernel_size,
        stages * player.blocks_per_stage,
        player.dtype,
        player.param_dtype,
        name=name,
    )


def _basis(player: Generator | Critic, base: Base, init: Initializer) -> Array:
    """Returns the learned basis ``[1, h, w, width]``, one map per channel.

    It is at least float32, because its gradient is a sum over the batch.
    """
    shape = (base.height, base.width, player.width)
    basis: Array = player.param("basis", init, shape, player.param_dtype)
    return basis.astype(score_dtype(player.dtype) or player.param_dtype)[None]


def upsample(x: Array) -> Array:
    r"""Doubles the size: pixels are repeated, then averaged with [1, 2, 1].

    .. math:: y_{2i} = (x_{i-1} + 3 x_i) / 4, \qquad y_{2i+1} = (3 x_i + x_{i+1}) / 4

    along both sides, with zeros around the image.

    Args:
        x: floating-point ``[B, H, W, C]``.

    Returns:
        ``[B, 2H, 2W, C]``.
    """
    for axis in (1, 2):
        even = (_shift(x, 1, axis) + 3 * x) / 4
        odd = (3 * x + _shift(x, -1, axis)) / 4
        shape = tuple(n * (1 + (i == axis)) for i, n in enumerate(x.shape))
        x = jnp.stack([even, odd], axis + 1).reshape(shape)
    return x


def downsample(x: Array) -> Array:
    r"""Halves the size: pixels are averaged with [1, 2, 1], then over 2x2 patches.

    .. math:: y_i = (x_{2i-1} + 3 x_{2i} + 3 x_{2i+1} + x_{2i+2}) / 8

    along both sides, with zeros around the image. This is a quarter of the
    transpose of ``upsample``.

    Args:
        x: floating-point ``[B, H, W, C]``; H and W even.

    Returns:
        ``[B, H/2, W/2, C]``.
    """
    for axis in (1, 2):
        n = x.shape[axis]
        pairs = x.reshape(*x.shape[:axis], n // 2, 2, *x.shape[axis + 1 :])
        even, odd = (lax.index_in_dim(pairs, i, axis + 1, False) for i in (0, 1))
        around = _shift(odd, 1, axis) + _shift(even, -1, axis)
        x = (around + 3 * (even + odd)) / 8
    return x


def _shift(x: Array, by: int, axis: int) -> Array:
    """Shifts by one pixel, to higher (1) or lower (-1) indices, filling with zeros."""
    edges = [(0, 0, 0)] * x.ndim
    edges[axis] = (by, -by, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), edges)
