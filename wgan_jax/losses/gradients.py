"""Gradients of the critic with respect to its input, and where they are evaluated."""

import chex
import jax
import jax.numpy as jnp

from wgan_jax.types import Array, CriticFn, PRNGKey


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
        key: PRNG key, consumed.

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


def perturb(real: Array, key: PRNGKey, *, scale: float) -> Array:
    r"""Real examples with symmetric noise around them.

    .. math:: x_i + \delta_i, \quad \delta_i \sim N(0, (c\,s)^2 I)

    with :math:`s` the standard deviation of all numbers of the batch, one
    scalar (the mean square deviation from their mean, divisor their count).

    Args:
        real: ``[B, ...]`` floating.
        key: PRNG key, consumed.
        scale: c, >= 0.

    Returns:
        ``[B, ...]`` of the dtype of ``real``.
    """
    noise = jax.random.normal(key, real.shape, dtype=real.dtype)
    return real + scale * jnp.std(real) * noise


def example_gradients(critic_fn: CriticFn, points: Array) -> Array:
    r"""Gradient of each example's score with respect to that example.

    .. math:: g_i = \nabla_x f(x_i)

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``, examples apart.
        points: ``[B, ...]`` floating.

    Returns:
        ``[B, ...]``, the shape and dtype of ``points``.

    Raises:
        AssertionError: if the critic does not return one score per example.
    """

    def summed_scores(x: Array) -> Array:
        scores = critic_fn(x)
        chex.assert_shape(scores, (x.shape[0],))
        return jnp.sum(scores)

    return jax.grad(summed_scores)(points)


def gradient_norms(critic_fn: CriticFn, points: Array) -> Array:
    r"""Gradient norm of the critic at each point.

    .. math:: n_i = \lVert \nabla_x f(x_i) \rVert_2

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``, examples apart.
        points: ``[B, ...]`` floating.

    Returns:
        ``[B]``, at least float32.

    Raises:
        AssertionError: if the critic does not return one score per example.
    """
    return example_norms(example_gradients(critic_fn, points))
