"""Linen layers and their initializers."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype

from wgan_jax.networks.conv import (
    conv,
    conv_mean_pool,
    conv_transpose,
    upsample_conv,
)
from wgan_jax.networks.geometry import Padding
from wgan_jax.networks.labels import Initializer
from wgan_jax.networks.parametrization import parametrize
from wgan_jax.networks.product import product
from wgan_jax.types import Array, PRNGKey

normal_init: Initializer = nn.initializers.normal(0.02)
"""N(0, 0.02), the initializer of all convolutions of a DCGAN."""


def scale_init(
    key: PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32, **_: Any
) -> Array:
    """Draws N(1, 0.02), the initial scales of batch normalization in a DCGAN."""
    return 1.0 + normal_init(key, shape, dtype)


def conv_uniform(*, gain: float, stride: int = 1) -> Initializer:
    r"""Returns a uniform kernel initializer whose fans account for the stride.

    .. math:: \mathrm{std} = g\sqrt{2 / (K K' (I + O / s^2))}

    Args:
        gain: g; sqrt 2 gives the He rule and 1 the Glorot rule of the authors'
            code.
        stride: stride s of the convolution, at least 1.

    Returns:
        An initializer for ``[K, K', I, O]``. The kernel of a transposed
        convolution has the layout of the convolution that it transposes, so the
        rule applies to it with its own fans.

    Reference:
        The initializer of all convolutions in the code of Gulrajani et al.
        2017, arXiv:1704.00028; after Glorot, Bengio 2010, equation 16.
    """

    def init(
        key: PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32, **_: Any
    ) -> Array:
        *window, in_features, out_features = shape
        fans = math.prod(window) * (in_features + out_features / stride**2)
        bound = gain * math.sqrt(2 / fans) * math.sqrt(3)
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def conv_he(*, stride: int = 1) -> Initializer:
    """Returns ``conv_uniform`` for a convolution next to a ReLU.

    Args:
        stride: stride of the convolution, >= 1.

    Returns:
        The initializer.
    """
    return conv_uniform(gain=math.sqrt(2), stride=stride)


def conv_glorot(*, stride: int = 1) -> Initializer:
    """Returns ``conv_uniform`` for a linear convolution: a shortcut or output layer.

    Args:
        stride: stride of the convolution, >= 1.

    Returns:
        The initializer.
    """
    return conv_uniform(gain=1.0, stride=stride)


def layer_parameters(
    layer: Any, x: Array, shape: tuple[int, ...], *, axis: int = -1
) -> tuple[Array, Array, Array | None]:
    """Returns input and kernel of a layer in the computation dtype, and its bias.

    Args:
        layer: module with the fields of ``Dense``.
        x: floating-point input.
        shape: shape of the kernel.
        axis: axis of the output channels of the kernel.

    Returns:
        The input, the parametrized kernel, and the bias. The bias is in the
        parameter dtype, for ``add_bias``, or None if the layer has none.
    """
    kernel = layer.param("kernel", layer.kernel_init, shape, layer.param_dtype)
    kernel = parametrize(layer, kernel, name=layer.parametrization, axis=axis)
    bias = None
    if layer.use_bias:
        channels = (shape[axis],)
        bias = layer.param("bias", layer.bias_init, channels, layer.param_dtype)
    x, kernel = promote_dtype(x, kernel, dtype=layer.dtype)
    return x, kernel, bias


def score_dtype(dtype: Any) -> Any:
    """Returns the computation dtype of a critic's last layer, at least float32.

    A score has a free offset. In bfloat16, whose resolution is 1/256 of a number's
    size, the offset would decide how finely scores and their differences are resolved.

    Args:
        dtype: computation dtype of the network; None promotes the input and
            parameter dtypes.
    """
    return None if dtype is None else jnp.promote_types(dtype, jnp.float32)


class Dense(nn.Module):
    """Dense layer with a kernel ``[I, O]`` and a bias ``[O]``.

    Except for ``parametrization``, the fields are those of flax.

    Attributes:
        features: number of outputs O.
        use_bias: whether to add the bias.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        parametrization: of the kernel; a key of ``PARAMETRIZATIONS``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros_init()
    parametrization: str = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps ``[B, I] -> [B, O]``."""
        x, kernel, bias = layer_parameters(self, x, (x.shape[-1], self.features))
        y = product(x, kernel)
        return add_bias(y, bias)


class _Kernel(nn.Module):
    """Fields and parameters shared by the four convolutions.

    Except for ``parametrization``, names and meanings of the fields are those
    of flax, so these classes are interchangeable with flax's.

    Attributes:
        features: output channels.
        kernel_size: ``(K, K')``.
        strides: stride s of both axes.
        padding: ``"SAME"``, ``"VALID"`` or ``((low, high), (low, high))`` of
            the convolution; a transposed convolution is cropped by it.
        use_bias: whether to add one bias per channel.
        kernel_init: initializer of the kernel.
        bias_init: initializer of the bias.
        parametrization: of the kernel; a key of ``PARAMETRIZATIONS``.
        dtype: computation dtype; None promotes the input and parameter dtypes.
        param_dtype: parameter dtype.
    """

    features: int
    kernel_size: Sequence[int]
    strides: int = 1
    padding: str | Padding = "SAME"
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = nn.initializers.zeros_init()
    parametrization: str = "plain"
    dtype: Any = None
    param_dtype: Any = jnp.float32

    def _parameters(
        self, x: Array, channels: tuple[int, int], axis: int = -1
    ) -> tuple[Array, Array, Array | None]:
        """Returns ``layer_parameters`` of a kernel with these last two axes."""
        return layer_parameters(self, x, (*self.kernel_size, *channels), axis=axis)

    def _same(self, size: Sequence[int]) -> Padding:
        """Returns ``"SAME"`` padding for this size, with the odd zero at the end."""
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "VALID":
            return ((0, 0), (0, 0))
        if self.padding != "SAME":
            raise ValueError(
                f"{type(self).__name__}: padding is {self.padding!r}; it must be "
                "'SAME', 'VALID' or ((low, high), (low, high))."
            )
        totals = (
            max((-(-side // self.strides) - 1) * self.strides + k - side, 0)
            for side, k in zip(size, self.kernel_size, strict=True)
        )
        height, width = ((total // 2, total - total // 2) for total in totals)
        return height, width


class Conv(_Kernel):
    """Convolution (``conv``) with a kernel ``[K, K', I, O]`` and a bias ``[O]``."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps ``[B, H, W, I] -> [B, h, w, features]``."""
        x, kernel, bias = self._parameters(x, (x.shape[-1], self.features))
        padding = self._same(x.shape[1:3])
        return add_bias(conv(x, kernel, stride=self.strides, padding=padding), bias)


class ConvTranspose(_Kernel):
    """Transposed convolution with a kernel ``[K, K', O, I]`` and a bias ``[O]``.

    The layer computes ``conv_transpose``. The kernel is that of the transposed
    convolution, with its taps in the same order. It equals PyTorch's
    ``[I, O, K, K']`` with the axes permuted, and flax's with
    ``transpose_kernel=True``. The output side is s h (``"SAME"``),
    ``s (h - 1) + max(K, s)`` (``"VALID"``) or, with explicit padding,
    ``s (h - 1) + max(K, s) - low - high``.
    """

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps ``[B, h, w, I] -> [B, H, W, features]``."""
        x, kernel, bias = self._parameters(x, (self.features, x.shape[-1]), -2)
        size = self._output_size(x.shape[1:3])
        y = conv_transpose(
            x,
            kernel,
            stride=self.strides,
            padding=self._same(size),
            output_size=size,
        )
        return add_bias(y, bias)

    def _output_size(self, size: Sequence[int]) -> tuple[int, int]:
        s = self.strides
        if self.padding == "SAME":
            return s * size[0], s * size[1]
        pads = self._same(size)
        height, width = (
            s * (side - 1) + max(k, s) - low - high
            for side, k, (low, high) in zip(size, self.kernel_size, pads, strict=True)
        )
        return height, width


class ConvMeanPool(_Kernel):
    """Convolution and 2x2 mean pooling in one (``conv_mean_pool``)."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps ``[B, H, W, I] -> [B, H/2, W/2, features]``."""
        x, kernel, bias = self._parameters(x, (x.shape[-1], self.features))
        return add_bias(conv_mean_pool(x, kernel), bias)


class UpsampleConv(_Kernel):
    """2x2 upsampling and convolution in one (``upsample_conv``)."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps ``[B, h, w, I] -> [B, 2h, 2w, features]``."""
        x, kernel, bias = self._parameters(x, (x.shape[-1], self.features))
        return add_bias(upsample_conv(x, kernel), bias)


def drop(critic: Any, x: Array, name: str, *, owner: str) -> Array:
    """Applies dropout with the rate of the field ``dropout`` of the calling critic.

    Args:
        critic: module with the field.
        x: maps ``[B, ..., features]``.
        name: name of the layer.
        owner: name of the critic, for messages.

    Returns:
        An array of the same shape; ``x`` itself without a rate, or in passes
        without the rng stream ``dropout``.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    if not 0 <= critic.dropout < 1:
        raise ValueError(f"{owner}: dropout is {critic.dropout}; it must be in [0, 1).")
    if not critic.dropout:
        return x
    layer = nn.Dropout(critic.dropout, name=name)
    return layer(x, deterministic=not critic.has_rng("dropout"))


def add_bias(y: Array, bias: Array | None) -> Array:
    """Adds the bias to the output of a layer, in at least float32.

    The gradient of the bias is a sum over all examples and pixels. If ``y`` is
    bfloat16, the sum would otherwise be accumulated in bfloat16 and lose small
    terms.

    Args:
        y: floating-point ``[B, ..., O]``.
        bias: ``[O]``, or None for no bias.

    Returns:
        ``y`` plus the bias, in the dtype of ``y``.
    """
    if bias is None:
        return y
    exact = jnp.promote_types(y.dtype, jnp.float32)
    row = bias.astype(exact).reshape(*(1,) * (y.ndim - 1), -1)
    return (y.astype(exact) + row).astype(y.dtype)
