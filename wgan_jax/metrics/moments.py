"""Mean and covariance of features, accumulated over batches on the device.

Sums are float64 on the device, whatever the value of ``jax_enable_x64``. In
float32, the covariance of features far from zero would be lost, and a distance
between two covariances is a difference of large numbers. Call these functions
outside of ``jit``; they are compiled internally.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from wgan_jax.types import Array


class Moments(NamedTuple):
    r"""Accumulated statistics of a sample, which can be merged.

    Attributes:
        examples: scalar float64, number of examples.
        mean: float64 ``[D]``.
        scatter: float64 ``[D, D]``, sum of squared deviations from the mean,
            :math:`\sum_i (x_i - m)(x_i - m)^T`.
    """

    examples: Array
    mean: Array
    scatter: Array


def no_moments(size: int) -> Moments:
    """Returns the moments of an empty sample.

    Args:
        size: number D of features.

    Returns:
        Zeros, not yet on any device.
    """
    zeros = (np.zeros(shape) for shape in ((), (size,), (size, size)))
    return Moments(*zeros)  # type: ignore[arg-type]


def update_moments(
    moments: Moments, features: ArrayLike, *, valid: int | None = None
) -> Moments:
    r"""Adds one batch to the moments.

    The mean and scatter of the batch are merged as in ``merge_moments``.
    Sharded features give the moments over all devices. The result does not
    depend on the split into batches, up to rounding.

    Args:
        moments: moments so far; not modified.
        features: floating-point ``[B, D]``; each new batch size is compiled.
        valid: number of leading rows to use. A short last batch can be padded
            to the size of the others, which avoids compilation and keeps it
            divisible by the number of devices.

    Returns:
        The merged moments.

    Raises:
        ValueError: if the features are not ``[B, D]`` or ``valid`` is not in
            0 .. B.
    """
    rows, size = np.shape(features) if np.ndim(features) == 2 else (0, None)
    if size != moments.mean.shape[0]:
        raise ValueError(
            f"features are {list(np.shape(features))}; they must be [B, "
            f"{moments.mean.shape[0]}]."
        )
    valid = rows if valid is None else valid
    if not 0 <= valid <= rows:
        raise ValueError(
            f"valid is {valid}; it must be in 0 to {rows}, the number of rows."
        )
    with jax.enable_x64(True):
        return _update(moments, jnp.asarray(features), float(valid))


def merge_moments(first: Moments, second: Moments) -> Moments:
    r"""Merges the moments of two samples.

    .. math:: n = n_1 + n_2, \quad d = m_2 - m_1, \quad
        m = m_1 + \tfrac{n_2}{n} d, \quad
        S = S_1 + S_2 + \tfrac{n_1 n_2}{n} d d^T

    Args:
        first: moments of one sample, which may be empty.
        second: moments of the other sample, with the same number of features.

    Returns:
        The moments of the concatenated samples.

    Raises:
        ValueError: if the numbers of features differ.

    Reference:
        Chan, Golub, LeVeque 1983, "Algorithms for computing the sample
        variance: analysis and recommendations", equation 2.1.
    """
    if first.mean.shape != second.mean.shape:
        raise ValueError(
            f"moments of {first.mean.shape[0]} and of {second.mean.shape[0]} features "
            "cannot be merged; both must come from the same extractor."
        )
    with jax.enable_x64(True):
        return _merge(first, second)


def mean_and_covariance(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    r"""Returns the mean and the unbiased covariance (divisor n - 1).

    .. math:: m, \quad C = \tfrac{1}{n - 1} S

    Args:
        moments: moments of at least 2 examples.

    Returns:
        float64 ``[D]`` and ``[D, D]``, on the host.

    Raises:
        ValueError: if there are fewer examples, or a feature is not finite.
    """
    count, mean, scatter = (np.asarray(part) for part in moments)
    if count < 2:
        raise ValueError(
            f"{int(count)} examples have no covariance; at least 2 are needed."
        )
    if not (np.isfinite(mean).all() and np.isfinite(scatter).all()):
        raise ValueError("the features are not all finite, so they have no covariance.")
    return mean, scatter / (count - 1)


@jax.jit
def _merge(first: Moments, second: Moments) -> Moments:
    examples = first.examples + second.examples
    share = second.examples / jnp.maximum(examples, 1.0)
    apart = second.mean - first.mean
    scatter = first.scatter + second.scatter
    scatter += first.examples * share * jnp.outer(apart, apart)
    return Moments(examples, first.mean + share * apart, scatter)


@jax.jit
def _update(moments: Moments, features: Array, valid: Array) -> Moments:
    x = features.astype(jnp.float64)
    counts = (jnp.arange(x.shape[0]) < valid)[:, None]
    # Padding rows may contain anything, including NaN, so they are masked by selection.
    mean = jnp.sum(jnp.where(counts, x, 0.0), axis=0) / jnp.maximum(valid, 1.0)
    deviations = jnp.where(counts, x - mean[None], 0.0)
    scatter = jnp.dot(deviations.T, deviations, precision=jax.lax.Precision.HIGHEST)
    return _merge(moments, Moments(valid, mean, scatter))
