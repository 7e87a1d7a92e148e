"""Terms of the critic's loss that bound its slope.

A penalty is ``(critic_fn, real, fake, key) -> scalar``, or the scalar and a
dictionary of what it measured on the way; its weight is applied by the step.
To add one, write the function and one row of ``PENALTIES`` at the foot of this
file. Library users hand a function of their own to ``Gan`` instead.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from wgan_jax.types import Array, CriticFn, Metrics, PRNGKey


def example_norms(x: Array) -> Array:
    r"""Euclidean norm of each example, safe to differentiate twice at zero.

    .. math:: n_i = \sqrt{\textstyle\sum_j x_{ij}^2}

    The root's derivative is infinite at zero, and infinity times zero is NaN.
    Two selections keep zero away from the root and give the norm the
    derivative zero there. Nothing is added inside the root, so the minimum of
    a penalty stays where the mathematics puts it.

    Args:
        x: ``[B, ...]`` floating.

    Returns:
        ``[B]``, at least float32.

    Raises:
        AssertionError: if ``x`` is not floating.
    """
    chex.assert_type(x, float)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    squared = jnp.sum(jnp.square(x.reshape(x.shape[0], -1)), axis=1)
    limits = jnp.finfo(x.dtype)
    # Below this the second derivative's 1/squared overflows: norms of 3e-16
    # in float32 count as zero.
    vanishes = squared <= limits.tiny / limits.eps
    return jnp.where(vanishes, 0.0, jnp.sqrt(jnp.where(vanishes, 1.0, squared)))


def interpolate(real: Array, fake: Array, key: PRNGKey) -> Array:
    r"""One point on the segment between each real and its fake example.

    .. math:: \hat x_i = x_i + \epsilon_i (\tilde x_i - x_i),
        \quad \epsilon_i \sim U[0, 1]

    Args:
        real: ``[B, ...]`` floating.
        fake: ``[B, ...]``, same shape as ``real``.
        key: typed key, used up here.

    Returns:
        ``[B, ...]`` of the dtype of ``real``.

    Raises:
        AssertionError: if the shapes differ.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1, lines 4 and 6.
    """
    chex.assert_equal_shape([real, fake])
    # One number an example, not one a pixel: the point must lie on the segment.
    shape = (real.shape[0],) + (1,) * (real.ndim - 1)
    epsilon = jax.random.uniform(key, shape, dtype=real.dtype)
    return real + epsilon * (fake.astype(real.dtype) - real)


def gradient_norms(critic_fn: CriticFn, points: Array) -> Array:
    r"""Slope of the critic at each point.

    .. math:: n_i = \lVert \nabla_x f(x_i) \rVert_2

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``, examples apart.
        points: ``[B, ...]`` floating.

    Returns:
        ``[B]``, at least float32.

    Raises:
        AssertionError: if the critic does not return one score per example.
    """

    def summed_scores(x: Array) -> Array:
        scores = critic_fn(x)
        chex.assert_shape(scores, (x.shape[0],))
        return jnp.sum(scores)

    return example_norms(jax.grad(summed_scores)(points))


def gradient_penalty_and_norms(
    critic_fn: CriticFn,
    real: Array,
    fake: Array,
    key: PRNGKey,
    *,
    target: float = 1.0,
    one_sided: bool = False,
) -> tuple[Array, Metrics]:
    """``gradient_penalty`` together with the gradient norms that it measured.

    Args:
        critic_fn: as for ``gradient_penalty``, like all other arguments.
        real: ``[B, ...]`` floating.
        fake: ``[B, ...]``, same shape.
        key: typed key, used up here.
        target: slope asked for.
        one_sided: penalise only slopes above the target.

    Returns:
        The penalty, and ``critic/gradient_norm_mean`` and
        ``critic/gradient_norm_max`` over the interpolates.
    """
    norms = gradient_norms(critic_fn, interpolate(real, fake, key))
    excess = norms - target
    if one_sided:
        excess = jnp.maximum(excess, 0.0)
    return jnp.mean(jnp.square(excess)), {
        "critic/gradient_norm_mean": jnp.mean(norms),
        "critic/gradient_norm_max": jnp.max(norms),
    }


def gradient_penalty(
    critic_fn: CriticFn,
    real: Array,
    fake: Array,
    key: PRNGKey,
    *,
    target: float = 1.0,
    one_sided: bool = False,
) -> Array:
    r"""Squared distance of the critic's slope from its target.

    .. math:: P = \mathbb{E}_{\hat x}
        \left[(\lVert \nabla f(\hat x) \rVert_2 - t)^2\right]
        \quad\text{or}\quad
        \mathbb{E}_{\hat x}
        \left[\max(0, \lVert \nabla f(\hat x) \rVert_2 - t)^2\right]

    with :math:`\hat x` uniform on the segments between real and fake examples.
    The norm is over all axes but the first, in at least float32.

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``, examples apart: a
            critic with batch norm has no gradient of one example.
        real: ``[B, ...]`` floating.
        fake: ``[B, ...]``, same shape.
        key: typed key, used up here.
        target: slope asked for, >= 0 (1 in the papers).
        one_sided: penalise only slopes above the target (WGAN-LP).

    Returns:
        Scalar >= 0, to be weighted by the caller (10 in the paper).

    Raises:
        AssertionError: if shapes differ or the critic does not return ``[B]``.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, equation 3; one-sided:
        Petzka, Fischer, Lukovnikov 2018, arXiv:1709.08894, equation 8.
    """
    return gradient_penalty_and_norms(
        critic_fn, real, fake, key, target=target, one_sided=one_sided
    )[0]


PENALTIES: dict[str, Callable[..., Any]] = {
    "gradient_penalty": gradient_penalty_and_norms,
}
