"""Batch norm, conditional batch norm and layer norm."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from wgan_jax.networks.labels import Initializer, check_labels, rows
from wgan_jax.types import Array

# The plain two-pass variance: the fast one subtracts large numbers, and clips.
LayerNorm = partial(
    nn.LayerNorm,
    epsilon=1e-5,
    reduction_axes=(1, 2, 3),
    feature_axes=-1,
    use_fast_variance=False,
)
r"""Normalization of each example by its mean and variance over H, W and C.

.. math:: y_b = \gamma (x_b - \mu_b) / \sqrt{\sigma_b^2 + \epsilon} + \beta

Examples never mix, so it is fit for a critic with a gradient penalty. Scale and
offset are per channel, as in the code of Gulrajani et al. 2017,
arXiv:1704.00028, section 4 (Ba, Kiros, Hinton 2016, arXiv:1607.06450).
"""


class BatchNorm(nn.Module):
    r"""Normalization by the mean and variance over all axes but the last.

    .. math:: y = \gamma_l (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta_l

    In training mode the statistics are the batch's; otherwise they are running
    averages, which a training pass moves where the caller made the
    ``batch_stats`` collection mutable, and leaves alone where not: a critic's
    step looks at generated images without touching the generator's state.
    Under ``jit`` over a mesh the batch is the global one.

    With classes, each label l has its own :math:`\gamma` and :math:`\beta`;
    the statistics are those of the whole batch.

    Attributes:
        classes: rows of the tables of :math:`\gamma` and :math:`\beta`; 0 for one
            of each, whatever the label.
        momentum: share of the old average kept at each training pass, in [0, 1).
        epsilon: added to the variance.
        scale_init: of :math:`\gamma`.
        dtype: of the result; None is the promoted dtype of input and parameters.
        param_dtype: of the parameters.

    Reference:
        Ioffe, Szegedy 2015, arXiv:1502.03167, algorithm 1; by class: Dumoulin,
        Shlens, Kudlur 2016, arXiv:1610.07629, equation 5.
    """

    classes: int = 0
    momentum: float = 0.9
    epsilon: float = 1e-5
    scale_init: Initializer = nn.initializers.ones_init()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Array, labels: Array | None = None, *, train: bool) -> Array:
        """``[B, ..., C] -> [B, ..., C]``, with labels ``[B]`` if by class."""
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
        # Sums over a batch of images lose most of bfloat16's eight bits.
        x = x.astype(jnp.promote_types(jnp.float32, x.dtype))
        scale, bias = self._scale_and_bias(x, labels)
        if train:
            axes = tuple(range(x.ndim - 1))
            mean = jnp.mean(x, axes)
            # One pass for both, fused with what made x. Unlike layer norm's of
            # one example, these sums are of a whole batch near zero mean.
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
        """Both in a shape to go with ``x``: ``[B or 1, 1, ..., C]``."""
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
    """Batch norm as a generator's fields ask for it, inside its ``__call__``.

    Args:
        generator: with the fields ``batch_norm``, ``classes``, ``dtype`` and
            ``param_dtype``.
        x: ``[B, ..., features]``.
        labels: int32 ``[B]`` of a generator with classes, else None.
        name: of the layer.
        train: whether to norm by the batch and move the averages.

    Returns:
        The same shape; ``x`` itself without ``batch_norm``.
    """
    if not generator.batch_norm:
        return x
    dtypes = {"dtype": generator.dtype, "param_dtype": generator.param_dtype}
    norm = BatchNorm(generator.classes, **dtypes, name=name)
    return norm(x, labels, train=train)


def _average(old: Array, new: Array, keep: float) -> Array:
    return (keep * old + (1 - keep) * new).astype(old.dtype)
