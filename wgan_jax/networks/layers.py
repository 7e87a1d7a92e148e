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
"""N(0, 0.02): every convolution of a DCGAN."""


def scale_init(
    key: PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32, **_: Any
) -> Array:
    """N(1, 0.02): every batch normalization's scale of a DCGAN."""
    return 1.0 + normal_init(key, shape, dtype)


def conv_uniform(*, gain: float, stride: int = 1) -> Initializer:
    r"""Uniform initializer of kernels that counts the stride in the fans.

    .. math:: \mathrm{std} = g\sqrt{2 / (K K' (I + O / s^2))}

    Args:
        gain: g; sqrt 2 is the He and 1 the Glorot rule of the authors' code.
        stride: s of the convolution, at least 1.

    Returns:
        An initializer for ``[K, K', I, O]``. A transposed convolution's kernel
        lies in memory as the kernel of the convolution it transposes, so the
        same rule serves it with its own fans.

    Reference:
        The initializer of every convolution in the code of Gulrajani et al.
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
    """``conv_uniform`` for a convolution beside rectifiers."""
    return conv_uniform(gain=math.sqrt(2), stride=stride)


def conv_glorot(*, stride: int = 1) -> Initializer:
    """``conv_uniform`` for a linear convolution: a shortcut or the last layer."""
    return conv_uniform(gain=1.0, stride=stride)


def layer_parameters(
    layer: Any, x: Array, shape: tuple[int, ...], *, axis: int = -1
) -> tuple[Array, Array, Array | None]:
    """Input, kernel and bias of a layer in the dtype to compute in.

    Args:
        layer: with the fields of ``Dense``.
        x: the input, floating.
        shape: of the kernel.
        axis: of the kernel's output channels.

    Returns:
        The three, the kernel as the layer's parametrization makes it and the
        bias None if the layer has none, else for ``add_bias``, as it is stored.
    """
    kernel = layer.param("kernel", layer.kernel_init, shape, layer.param_dtype)
    kernel = parametrize(layer, kernel, name=layer.parametrization, axis=axis)
    bias = None
    if layer.use_bias:
        channels = (shape[axis],)
        bias = layer.param("bias", layer.bias_init, channels, layer.param_dtype)
    x, kernel = promote_dtype(x, kernel, dtype=layer.dtype)
    return x, kernel, bias


class Dense(nn.Module):
    """A matrix product with a kernel ``[I, O]`` and a bias ``[O]``.

    But for ``parametrization`` the fields are flax's.

    Attributes:
        features: O.
        use_bias: whether to add the bias.
        kernel_init: of the kernel.
        bias_init: of the bias.
        parametrization: of the kernel, a row of ``PARAMETRIZATIONS``.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.
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
        """``[B, I] -> [B, O]``."""
        x, kernel, bias = layer_parameters(self, x, (x.shape[-1], self.features))
        y = product(x, kernel)
        return add_bias(y, bias)


class _Kernel(nn.Module):
    """Fields and parameters that the four convolutions share.

    But for ``parametrization`` the names and meanings are flax's, so either class
    stands in for the other.

    Attributes:
        features: channels of the result.
        kernel_size: ``(K, K')``.
        strides: s, along both sides.
        padding: ``"SAME"``, ``"VALID"`` or ``((low, high), (low, high))``, of the
            convolution (a transposed one is cropped by it).
        use_bias: whether to add one bias per channel.
        kernel_init: of the kernel.
        bias_init: of the bias.
        parametrization: of the kernel, a row of ``PARAMETRIZATIONS``.
        dtype: computed in; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.
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
        """``layer_parameters`` of a kernel with these last two axes."""
        return layer_parameters(self, x, (*self.kernel_size, *channels), axis=axis)

    def _same(self, size: Sequence[int]) -> Padding:
        """``"SAME"`` padding of images of this size, the odd zero at the end."""
        if not isinstance(self.padding, str):
            return self.padding
        if self.padding == "VALID":
            return ((0, 0), (0, 0))
        if self.padding != "SAME":
            raise ValueError(
                f"{type(self).__name__}: padding is {self.padding!r}, and must be "
                '"SAME", "VALID" or ((low, high), (low, high)).'
            )
        totals = (
            max((-(-side // self.strides) - 1) * self.strides + k - side, 0)
            for side, k in zip(size, self.kernel_size, strict=True)
        )
        height, width = ((total // 2, total - total // 2) for total in totals)
        return height, width


class Conv(_Kernel):
    """``conv`` with a kernel ``[K, K', I, O]`` and a bias ``[O]``."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[B, H, W, I] -> [B, h, w, features]``."""
        x, kernel, bias = self._parameters(x, (x.shape[-1], self.features))
        padding = self._same(x.shape[1:3])
        return add_bias(conv(x, kernel, stride=self.strides, padding=padding), bias)


class ConvTranspose(_Kernel):
    """``conv_transpose`` with a kernel ``[K, K', O, I]`` and a bias ``[O]``.

    The kernel is that of the convolution which this one transposes, taps in
    that order too: PyTorch's ``[I, O, K, K']`` with the axes moved, and flax's
    with ``transpose_kernel=True``. The result is s times as large
    (``"SAME"``), ``s (h - 1) + max(K, s)`` (``"VALID"``), or, with explicit
    padding, ``s (h - 1) + K - low - high``.
    """

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[B, h, w, I] -> [B, H, W, features]``."""
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
    """``conv_mean_pool``: a convolution and the mean of 2x2 patches in one."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[B, H, W, I] -> [B, H/2, W/2, features]``."""
        x, kernel, bias = self._parameters(x, (x.shape[-1], self.features))
        return add_bias(conv_mean_pool(x, kernel), bias)


class UpsampleConv(_Kernel):
    """``upsample_conv``: pixels repeated 2x2 and a convolution in one."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[B, h, w, I] -> [B, 2h, 2w, features]``."""
        x, kernel, bias = self._parameters(x, (x.shape[-1], self.features))
        return add_bias(upsample_conv(x, kernel), bias)


def add_bias(y: Array, bias: Array | None) -> Array:
    """A layer's result and its bias, added in at least float32.

    The bias's gradient is a sum over all examples and pixels. Of numbers in bfloat16 it
    would be taken in bfloat16, and lose what is small beside the sum so far.

    Args:
        y: ``[B, ..., O]`` floating.
        bias: ``[O]``, or None for none.

    Returns:
        ``y`` with the bias, in the dtype of ``y``.
    """
    if bias is None:
        return y
    exact = jnp.promote_types(y.dtype, jnp.float32)
    row = bias.astype(exact).reshape(*(1,) * (y.ndim - 1), -1)
    return (y.astype(exact) + row).astype(y.dtype)
