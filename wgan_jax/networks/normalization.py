"""Batch normalization, conditional batch normalization and layer normalization."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks.labels import Initializer, check_labels, rows
from wgan_jax.types import Array

# Two-pass variance: the fast one subtracts large numbers and clips at zero.
LayerNorm = partial(
    nn.LayerNorm,
    epsilon=1e-5,
    reduction_axes=(1, 2, 3),
    feature_axes=-1,
    use_fast_variance=False,
)
r"""Normalization of each example by its mean and variance over H, W and C.

.. math:: y_b = \gamma (x_b - \mu_b) / \sqrt{\sigma_b^2 + \epsilon} + \beta

Examples stay independent, so it can be used in a critic with a gradient
penalty. Scale and offset are per channel, as in the code of Gulrajani et al.
2017, arXiv:1704.00028, section 4 (Ba, Kiros, Hinton 2016, arXiv:1607.06450).
"""


class BatchNorm(nn.Module):
    r"""Normalization by the mean and variance over all axes but the last.

    .. math:: y = \gamma_l (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta_l

    In training mode, batch statistics are used. Otherwise, running averages are
    used. A training pass updates the running averages only if the caller made
    the collection ``batch_stats`` mutable. A critic step can therefore generate
    images in training mode without changing the generator's state. Under
    ``jit`` over a device mesh, statistics are those of the global batch.

    With classes, each label l has its own :math:`\gamma` and :math:`\beta`. The
    statistics are still those of the whole batch.

    Attributes:
        classes: number of rows of :math:`\gamma` and :math:`\beta`; 0 for a
            single :math:`\gamma` and :math:`\beta`.
        momentum: weight of the old average in each training pass, in [0, 1).
        epsilon: added to the variance.
        scale_init: initializer of :math:`\gamma`.
        dtype: dtype of the result; None promotes the input and parameter
            dtypes.
        param_dtype: parameter dtype.

    Reference:
        Ioffe, Szegedy 2015, arXiv:1502.03167, algorithm 1; conditional:
        Dumoulin, Shlens, Kudlur 2016, arXiv:1610.07629, equation 5.
    """

    classes: int = 0
    momentum: float = 0.9
    epsilon: float = 1e-5
    scale_init: Initializer = nn.initializers.ones_init()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, labels: Array | None = None, *, train: bool) -> Array:
        """Normalizes ``[B, ..., C]``; labels are ``[B]`` if conditional."""
        check_labels("BatchNorm", self.classes, labels)
        shape = x.shape[-1:]
        stats_dtype = jnp.promote_types(jnp.float32, self.param_dtype)
        zeros, ones = (
            (lambda: jnp.zeros(shape, stats_dtype)),
            (lambda: jnp.ones(shape, stats_dtype)),
        )
        running_mean = self.variable("batch_stats", "mean", zeros)
        running_var = self.variable("batch_stats", "var", ones)

        dtype = self.dtype or jnp.promote_types(x.dtype, self.param_dtype)
        # Summing a batch of images in bfloat16 would lose most of its eight bits.
        x = x.astype(jnp.promote_types(jnp.float32, x.dtype))
        scale, bias = self._scale_and_bias(x, labels)
        if train:
            axes = tuple(range(x.ndim - 1))
            mean = jnp.mean(x, axes)
            # One pass for both statistics, fused with the computation of x. Unlike in
            # layer normalization, the sums run over a whole batch with a mean near
            # zero.
            var = jnp.maximum(jnp.mean(jnp.square(x), axes) - jnp.square(mean), 0.0)
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                keep = self.momentum
                running_mean.value = _average(running_mean.value, mean, keep)
                running_var.value = _average(running_var.value, var, keep)
        else:
            mean, var = running_mean.value, running_var.value
        row = (1,) * (x.ndim - 1) + shape
        factor = scale * jax.lax.rsqrt(var + self.epsilon).reshape(row)
        y = (x - mean.reshape(row)) * factor + bias
        return y.astype(dtype)

    def _scale_and_bias(self, x: Array, labels: Array | None) -> tuple[Array, Array]:
        """Returns scale and bias broadcastable to ``x``: ``[B or 1, 1, ..., C]``."""
        channels = x.shape[-1]
        shape = (self.classes, channels) if self.classes else (channels,)
        scale = self.param("scale", self.scale_init, shape, self.param_dtype)
        bias_init = nn.initializers.zeros_init()
        bias = self.param("bias", bias_init, shape, self.param_dtype)
        if labels is not None:
            scale, bias = rows(scale, labels), rows(bias, labels)
        row = (-1, *(1,) * (x.ndim - 2), channels)
        return scale.reshape(row), bias.reshape(row)


def normalize_maps(
    generator: Any, x: Array, labels: Array | None, *, name: str, train: bool
) -> Array:
    """Applies batch normalization as set by the fields of the calling generator.

    Args:
        generator: module with the fields ``batch_norm``, ``classes``, ``dtype``
            and ``param_dtype``.
        x: ``[B, ..., features]``.
        labels: int32 ``[B]`` for a conditional generator, else None.
        name: name of the layer.
        train: whether to use batch statistics and update the running averages.

    Returns:
        An array of the same shape; ``x`` itself if ``batch_norm`` is False.
    """
    if not generator.batch_norm:
        return x
    dtypes = {"dtype": generator.dtype, "param_dtype": generator.param_dtype}
    norm = BatchNorm(generator.classes, **dtypes, name=name)
    return norm(x, labels, train=train)


def _average(old: Array, new: Array, keep: float) -> Array:
    return (keep * old + (1 - keep) * new).astype(old.dtype)
