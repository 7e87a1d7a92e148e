"""Gradients of the critic with respect to its input, and points to evaluate at."""

import chex
import jax
import jax.numpy as jnp

from wgan_jax.types import Array, CriticFn, PRNGKey


def example_norms(x: Array) -> Array:
    r"""Computes the Euclidean norm per example, twice differentiable at zero.

    .. math:: n_i = \sqrt{\textstyle\sum_j x_{ij}^2}

    The derivative of the square root is infinite at zero, and infinity times
    zero is NaN. Two selections keep zero out of the square root and set the
    derivative of the norm to zero there. No epsilon is added inside the square
    root, so the minimum of a penalty is not shifted.

    Args:
        x: floating-point ``[B, ...]``.

    Returns:
        ``[B]``, at least float32.

    Raises:
        AssertionError: if ``x`` is not floating-point.
    """
    chex.assert_type(x, float)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    squared = jnp.sum(jnp.square(x.reshape(x.shape[0], -1)), axis=1)
    limits = jnp.finfo(x.dtype)
    # Below this, 1/squared in the second derivative overflows. In float32, norms
    # below 3e-16 count as zero.
    vanishes = squared <= limits.tiny / limits.eps
    return jnp.where(vanishes, 0.0, jnp.sqrt(jnp.where(vanishes, 1.0, squared)))


def interpolate(real: Array, fake: Array, key: PRNGKey) -> Array:
    r"""Draws one point on the segment between each real and its fake example.

    .. math:: \hat x_i = x_i + \epsilon_i (\tilde x_i - x_i),
        \quad \epsilon_i \sim U[0, 1]

    Args:
        real: floating-point ``[B, ...]``.
        fake: ``[B, ...]``, same shape as ``real``.
        key: PRNG key, consumed.

    Returns:
        ``[B, ...]`` in the dtype of ``real``.

    Raises:
        AssertionError: if the shapes differ.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1, lines 4 and 6.
    """
    chex.assert_equal_shape([real, fake])
    # One epsilon per example, not per pixel: the point must lie on the segment.
    shape = (real.shape[0],) + (1,) * (real.ndim - 1)
    epsilon = jax.random.uniform(key, shape, dtype=real.dtype)
    return real + epsilon * (fake.astype(real.dtype) - real)


def perturb(real: Array, key: PRNGKey, *, scale: float) -> Array:
    r"""Adds symmetric Gaussian noise to real examples.

    .. math:: x_i + \delta_i, \quad \delta_i \sim N(0, (c\,s)^2 I)

    where :math:`s` is the standard deviation over all values of the batch, a
    scalar (mean squared deviation from the mean, divided by the number of
    values).

    Args:
        real: floating-point ``[B, ...]``.
        key: PRNG key, consumed.
        scale: relative noise scale c, >= 0.

    Returns:
        ``[B, ...]`` in the dtype of ``real``.
    """
    noise = jax.random.normal(key, real.shape, dtype=real.dtype)
    return real + scale * jnp.std(real) * noise


def example_gradients(critic_fn: CriticFn, points: Array) -> Array:
    r"""Computes the gradient of each score with respect to its example.

    .. math:: g_i = \nabla_x f(x_i)

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``, independent per
            example.
        points: floating-point ``[B, ...]``.

    Returns:
        ``[B, ...]`` in the shape and dtype of ``points``.

    Raises:
        AssertionError: if the critic does not return one score per example.
        ValueError: if the critic is not a function, or there are no points.
    """
    if not callable(critic_fn):
        kind = type(critic_fn).__name__
        raise ValueError(f"critic_fn is of type {kind}; it must be a function.")
    if 0 in jnp.shape(points):
        raise ValueError(f"points has the shape {list(points.shape)} and no examples.")

    def summed_scores(x: Array) -> Array:
        scores = critic_fn(x)
        chex.assert_shape(scores, (x.shape[0],))
        return jnp.sum(scores)

    return jax.grad(summed_scores)(points)


def gradient_norms(critic_fn: CriticFn, points: Array) -> Array:
    r"""Computes the gradient norm of the critic at each point.

    .. math:: n_i = \lVert \nabla_x f(x_i) \rVert_2

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``, independent per
            example.
        points: floating-point ``[B, ...]``.

    Returns:
        ``[B]``, at least float32.

    Raises:
        AssertionError: if the critic does not return one score per example.
    """
    return example_norms(example_gradients(critic_fn, points))
