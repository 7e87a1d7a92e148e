"""Mean and covariance of features, accumulated over batches on the device.

The sums are float64 on the device whatever ``jax_enable_x64`` says: float32
loses the covariance of features that lie far from zero, and a distance between
two covariances is a difference of large numbers. Call these functions outside of
``jit``; they are compiled themselves.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from wgan_jax.types import Array


class Moments(NamedTuple):
    r"""What a sample leaves behind of itself: enough to merge and to finish.

    Attributes:
        examples: scalar float64, how many were seen.
        mean: float64 ``[D]``.
        scatter: float64 ``[D, D]``, the sum of squared deviations from the mean,
            :math:`\sum_i (x_i - m)(x_i - m)^T`.
    """

    examples: Array
    mean: Array
    scatter: Array


def no_moments(size: int) -> Moments:
    """The moments of no examples, to start from.

    Args:
        size: D, numbers of one feature vector.

    Returns:
        Zeros, placed on no device yet.
    """
    zeros = (np.zeros(shape) for shape in ((), (size,), (size, size)))
    return Moments(*zeros)  # type: ignore[arg-type]


def update_moments(
    moments: Moments, features: ArrayLike, *, valid: int | None = None
) -> Moments:
    r"""Takes one batch in.

    The batch's own mean and scatter are merged into what is there, as
    ``merge_moments`` does. Features split among devices give the sums of all;
    any way of cutting a sample into batches gives the same up to rounding.

    Args:
        moments: so far; not changed.
        features: floating ``[B, D]``, of any batch size; each new one compiles.
        valid: only the first so many rows count: a short last batch, padded to
            the size of the others, compiles nothing and divides among devices.

    Returns:
        The moments of both.

    Raises:
        ValueError: if the features are not ``[B, D]`` or ``valid`` is not in
            0 .. B.
    """
    rows, size = np.shape(features) if np.ndim(features) == 2 else (0, None)
    if size != moments.mean.shape[0]:
        raise ValueError(
            f"features of shape {np.shape(features)} do not fit; these moments take "
            f"[B, {moments.mean.shape[0]}]."
        )
    valid = rows if valid is None else valid
    if not 0 <= valid <= rows:
        raise ValueError(f"valid is {valid}, and must be in 0 .. {rows}, the rows.")
    with jax.enable_x64(True):
        return _update(moments, jnp.asarray(features), float(valid))


def merge_moments(first: Moments, second: Moments) -> Moments:
    r"""The moments of two samples together.

    .. math:: n = n_1 + n_2, \quad d = m_2 - m_1, \quad
        m = m_1 + \tfrac{n_2}{n} d, \quad
        S = S_1 + S_2 + \tfrac{n_1 n_2}{n} d d^T

    Args:
        first: of one sample; may be of no examples.
        second: of the other, of the same feature size.

    Returns:
        The same as if one sample had been seen after the other.

    Raises:
        ValueError: if the feature sizes differ.

    Reference:
        Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance:
        analysis and recommendations", equation 2.1.
    """
    if first.mean.shape != second.mean.shape:
        raise ValueError(
            f"moments of {first.mean.shape[0]} and of {second.mean.shape[0]} "
            "features do not merge; both must come from one extractor."
        )
    with jax.enable_x64(True):
        return _merge(first, second)


def mean_and_covariance(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    r"""Finishes: the mean, and the covariance with the divisor n - 1.

    .. math:: m, \quad C = \tfrac{1}{n - 1} S

    Args:
        moments: of at least 2 examples.

    Returns:
        float64 ``[D]`` and ``[D, D]``, on the host.

    Raises:
        ValueError: if there are fewer examples, or a feature was not finite.
    """
    count, mean, scatter = (np.asarray(part) for part in moments)
    if count < 2:
        raise ValueError(f"{int(count)} examples have no covariance; give at least 2.")
    if not (np.isfinite(mean).all() and np.isfinite(scatter).all()):
        raise ValueError("the features are not all finite, and have no covariance.")
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
    # A padding row may hold anything, so it is selected away, not multiplied by 0.
    mean = jnp.sum(jnp.where(counts, x, 0.0), axis=0) / jnp.maximum(valid, 1.0)
    deviations = jnp.where(counts, x - mean[None], 0.0)
    scatter = jnp.dot(deviations.T, deviations, precision=jax.lax.Precision.HIGHEST)
    return _merge(moments, Moments(valid, mean, scatter))
