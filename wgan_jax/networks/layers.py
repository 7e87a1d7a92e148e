"""Linen layers on the closed convolution, their initialisers, batch normalisation."""

import math
from collections.abc import Callable, Sequence
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
from wgan_jax.networks.forms import Padding
from wgan_jax.types import Array, PRNGKey

Initializer = Callable[..., Array]

normal_init: Initializer = nn.initializers.normal(0.02)
"""N(0, 0.02): every convolution of a DCGAN."""


def scale_init(
    key: PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32, **_: Any
) -> Array:
    """N(1, 0.02): every batch normalisation's scale of a DCGAN."""
    return 1.0 + normal_init(key, shape, dtype)


def conv_uniform(*, gain: float, stride: int = 1) -> Initializer:
    r"""Uniform initialiser of kernels that counts the stride in the fans.

    .. math:: \mathrm{std} = g\sqrt{2 / (K K' (I + O / s^2))}

    Args:
        gain: g; sqrt 2 is the He and 1 the Glorot rule of the authors' code.
        stride: s of the convolution, at least 1.

    Returns:
        An initialiser for ``[K, K', I, O]``. A transposed convolution's kernel
        lies in memory as the kernel of the convolution it transposes, so the
        same rule serves it with its own fans.

    Reference:
        The initialiser of every convolution in the code of Gulrajani et al.
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


class _Kernel(nn.Module):
    """Fields and parameters that the four convolutions share.

    The names and meanings are flax's, so either class stands in for the other.

    Attributes:
        features: channels of the result.
        kernel_size: ``(K, K')``.
        strides: s, along both sides.
        padding: ``"SAME"``, ``"VALID"`` or ``((low, high), (low, high))``, of the
            convolution (a transposed one is cropped by it).
        use_bias: whether to add one bias per channel.
        kernel_init: of the kernel.
        bias_init: of the bias.
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
    dtype: Any = None
    param_dtype: Any = jnp.float32

    def _parameters(
        self, x: Array, channels: tuple[int, int]
    ) -> tuple[Array, Array, Array | None]:
        """Input, kernel and bias in the dtype to compute in."""
        shape = (*self.kernel_size, *channels)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            shape = (self.features,)
            bias = self.param("bias", self.bias_init, shape, self.param_dtype)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        return x, kernel, bias

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
        return _add(conv(x, kernel, stride=self.strides, padding=padding), bias)


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
        x, kernel, bias = self._parameters(x, (self.features, x.shape[-1]))
        size = self._output_size(x.shape[1:3])
        y = conv_transpose(
            x,
            kernel,
            stride=self.strides,
            padding=self._same(size),
            output_size=size,
        )
        return _add(y, bias)

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
        return _add(conv_mean_pool(x, kernel), bias)


class UpsampleConv(_Kernel):
    """``upsample_conv``: pixels repeated 2x2 and a convolution in one."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[B, h, w, I] -> [B, 2h, 2w, features]``."""
        x, kernel, bias = self._parameters(x, (x.shape[-1], self.features))
        return _add(upsample_conv(x, kernel), bias)


class BatchNorm(nn.Module):
    r"""Normalisation by the mean and variance over all axes but the last.

    .. math:: y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta

    In training mode the statistics are the batch's; otherwise they are running
    averages, which a training pass moves where the caller made the
    ``batch_stats`` collection mutable, and leaves alone where not: a critic's
    step looks at generated images without touching the generator's state.
    Under ``jit`` over a mesh the batch is the global one.

    Attributes:
        momentum: share of the old average kept at each training pass, in [0, 1).
        epsilon: added to the variance.
        scale_init: of :math:`\gamma`.
        dtype: of the result; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.

    Reference:
        Ioffe, Szegedy 2015, arXiv:1502.03167, algorithm 1.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    scale_init: Initializer = nn.initializers.ones_init()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, *, train: bool) -> Array:
        """``[B, ..., C] -> [B, ..., C]``."""
        shape = x.shape[-1:]
        stats_dtype = jnp.promote_types(jnp.float32, self.param_dtype)
        zeros, ones = (
            (lambda: jnp.zeros(shape, stats_dtype)),
            (lambda: jnp.ones(shape, stats_dtype)),
        )
        running_mean = self.variable("batch_stats", "mean", zeros)
        running_var = self.variable("batch_stats", "var", ones)
        scale = self.param("scale", self.scale_init, shape, self.param_dtype)
        bias_init = nn.initializers.zeros_init()
        bias = self.param("bias", bias_init, shape, self.param_dtype)

        dtype = self.dtype or jnp.promote_types(x.dtype, self.param_dtype)
        # Sums over a batch of images lose most of bfloat16's eight bits.
        x = x.astype(jnp.promote_types(jnp.float32, x.dtype))
        if train:
            axes = tuple(range(x.ndim - 1))
            mean = jnp.mean(x, axes)
            var = jnp.maximum(jnp.mean(jnp.square(x), axes) - jnp.square(mean), 0.0)
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                keep = self.momentum
                running_mean.value = _average(running_mean.value, mean, keep)
                running_var.value = _average(running_var.value, var, keep)
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        row = (1,) * (x.ndim - 1) + shape
        y = (x - mean.reshape(row)) * factor.reshape(row) + bias.reshape(row)
        return y.astype(dtype)


def _average(old: Array, new: Array, keep: float) -> Array:
    return (keep * old + (1 - keep) * new).astype(old.dtype)


def _add(y: Array, bias: Array | None) -> Array:
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)
