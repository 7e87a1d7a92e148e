"""Penalties on the critic's gradient norm.

A penalty is ``(critic_fn, real, fake, key) -> scalar``, or the scalar together
with a dictionary of metrics. The training step applies its weight. To add a
penalty, write the function and add it to ``PENALTIES`` at the end of this file.
Library users can pass their own function to ``Gan``.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp

from wgan_jax.losses.gradients import (
    example_gradients,
    example_norms,
    gradient_norms,
    interpolate,
    perturb,
)
from wgan_jax.losses.scores import consistency, drift
from wgan_jax.losses.terms import reports
from wgan_jax.ranges import AtLeastOne, NotNegative, checked
from wgan_jax.types import Array, CriticFn, Metrics, PRNGKey


@checked
def gradient_penalty_and_norms(
    critic_fn: CriticFn,
    real: Array,
    fake: Array,
    key: PRNGKey,
    *,
    target: NotNegative = 1.0,
    one_sided: bool = False,
) -> tuple[Array, Metrics]:
    """Computes ``gradient_penalty`` and the gradient norms it is based on.

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: floating-point ``[B, ...]``.
        fake: ``[B, ...]``, same shape as ``real``.
        key: PRNG key, consumed.
        target: target gradient norm.
        one_sided: penalize only gradient norms above the target.

    Returns:
        The penalty, and the metrics ``critic/gradient_norm_mean`` and
        ``critic/gradient_norm_max`` over the interpolates.
    """
    norms = gradient_norms(critic_fn, interpolate(real, fake, key))
    excess = norms - target
    if one_sided:
        excess = jnp.maximum(excess, 0.0)
    return jnp.mean(jnp.square(excess)), _gradient_norms(norms)


@reports(gradient_penalty_and_norms)
@checked
def gradient_penalty(
    critic_fn: CriticFn,
    real: Array,
    fake: Array,
    key: PRNGKey,
    *,
    target: NotNegative = 1.0,
    one_sided: bool = False,
) -> Array:
    r"""Computes the squared deviation of the critic's gradient norm from a target.

    .. math:: P = \mathbb{E}_{\hat x}
        \left[(\lVert \nabla f(\hat x) \rVert_2 - t)^2\right]
        \quad\text{or}\quad
        \mathbb{E}_{\hat x}
        \left[\max(0, \lVert \nabla f(\hat x) \rVert_2 - t)^2\right]

    with :math:`\hat x` uniform on the segments between real and fake examples.
    The norm is taken over all axes but the first, in at least float32. As a
    term of a ``Gan``, it also reports the mean and the maximum norm
    (``gradient_penalty_and_norms``).

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``, independent per
            example. A critic with batch normalization has no per-example
            gradient.
        real: floating-point ``[B, ...]``.
        fake: ``[B, ...]``, same shape as ``real``.
        key: PRNG key, consumed.
        target: target gradient norm t, >= 0 (1 in the papers).
        one_sided: penalize only gradient norms above the target (WGAN-LP).

    Returns:
        Scalar >= 0, to be weighted by the caller (10 in the paper).

    Raises:
        AssertionError: if shapes differ or the critic does not return ``[B]``.
        ValueError: if the target is below 0.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, equation 3; one-sided:
        Petzka, Fischer, Lukovnikov 2018, arXiv:1709.08894 (WGAN-LP).
    """
    return gradient_penalty_and_norms(
        critic_fn, real, fake, key, target=target, one_sided=one_sided
    )[0]


@checked
def dragan(
    critic_fn: CriticFn,
    real: Array,
    fake: Array,
    key: PRNGKey,
    *,
    scale: NotNegative = 0.5,
    target: NotNegative = 1.0,
) -> tuple[Array, Metrics]:
    r"""Computes the DRAGAN penalty on the gradient norm near the data.

    .. math:: P = \mathbb{E}_{x, \delta}
        \left[(\lVert \nabla f(x + \delta) \rVert_2 - t)^2\right],
        \quad \delta \sim N(0, (c\,s)^2 I)

    where :math:`s` is the standard deviation over all values of the real batch.
    The noise is Gaussian and symmetric, as in the paper's equation. The
    authors' code instead adds alpha u s / 2 to each value, with u and alpha
    uniform in [0, 1) and one alpha per example, so it only increases values.

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: floating-point ``[B, ...]``.
        fake: not used.
        key: PRNG key, consumed.
        scale: relative noise scale c, >= 0.
        target: target gradient norm t, >= 0 (k = 1 in the paper).

    Returns:
        Scalar >= 0, to be weighted by the caller (10 in the paper), and the
        metrics ``critic/gradient_norm_mean`` and ``critic/gradient_norm_max``
        over the perturbed points.

    Raises:
        AssertionError: if the critic does not return ``[B]``.
        ValueError: if ``scale`` or ``target`` is below 0.

    Reference:
        Kodali, Abernethy, Hays, Kira 2017, arXiv:1705.07215, the DRAGAN penalty
        on local regions around the data. Scaling c by the standard deviation of
        the data follows the authors' code.
    """
    norms = gradient_norms(critic_fn, perturb(real, key, scale=scale))
    return jnp.mean(jnp.square(norms - target)), _gradient_norms(norms)


@checked
def divergence(
    critic_fn: CriticFn,
    real: Array,
    fake: Array,
    key: PRNGKey,
    *,
    power: AtLeastOne = 6.0,
    at: Literal["interpolates", "ends"] = "interpolates",
) -> tuple[Array, Metrics]:
    r"""Computes a power of the gradient norm, the term of the Wasserstein divergence.

    .. math:: P = \mathbb{E}_{\hat x} \left[\lVert \nabla f(\hat x) \rVert_2^p\right]

    The term is part of the divergence itself and does not enforce a Lipschitz
    constraint.

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: floating-point ``[B, ...]``.
        fake: ``[B, ...]``, same shape as ``real``.
        key: PRNG key, consumed.
        power: p, at least 1; below 1, the derivative of P is infinite at norm
            0.
        at: ``"interpolates"`` evaluates P on the segments between real and fake
            examples; ``"ends"`` averages P over the real and P over the fake
            examples, as in some ports.

    Returns:
        Scalar >= 0, to be weighted by the caller (k = 2 in the paper), and the
        metrics ``critic/gradient_norm_mean`` and ``_max`` over the
        interpolates, or the means ``critic/gradient_norm_at_reals`` and
        ``_at_penalized_fakes``.

    Raises:
        ValueError: if ``power`` or ``at`` is invalid.
        AssertionError: if shapes differ or the critic does not return ``[B]``.

    Reference:
        Wu, Huang, Thoma, Acharya, Van Gool 2018, arXiv:1712.01026,
        algorithm 1, with k = 2 and p = 6.
    """
    if at == "interpolates":
        norms = gradient_norms(critic_fn, interpolate(real, fake, key))
        return jnp.mean(norms**power), _gradient_norms(norms)
    if at == "ends":
        at_reals = gradient_norms(critic_fn, real)
        at_fakes = gradient_norms(critic_fn, fake)
        value = (jnp.mean(at_reals**power) + jnp.mean(at_fakes**power)) / 2
        return value, {
            "critic/gradient_norm_at_reals": jnp.mean(at_reals),
            "critic/gradient_norm_at_penalized_fakes": jnp.mean(at_fakes),
        }
    raise ValueError(f"divergence: at is {at!r}; it must be 'interpolates' or 'ends'.")


def r1(
    critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey
) -> tuple[Array, Metrics]:
    r"""Computes half the squared gradient norm of the critic at real examples.

    .. math:: P = \frac{1}{2} \mathbb{E}_x \left[\lVert \nabla f(x) \rVert^2\right]

    Squares are summed over all axes of an example and averaged over the batch.
    Because the penalty includes the factor 1/2, its weight is the paper's
    gamma.

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: floating-point ``[B, ...]``.
        fake: not used.
        key: not used.

    Returns:
        Scalar >= 0, to be weighted by the caller (10 in the paper), and the
        mean gradient norm ``critic/gradient_norm_at_reals``.

    Raises:
        AssertionError: if the critic does not return ``[B]``.

    Reference:
        Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406, equation 9.
    """
    value, norm = _half_squared_gradient_norm(critic_fn, real)
    return value, {"critic/gradient_norm_at_reals": norm}


def r2(
    critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey
) -> tuple[Array, Metrics]:
    r"""Computes half the squared gradient norm of the critic at fake examples.

    .. math:: P = \frac{1}{2} \mathbb{E}_{\tilde x}
        \left[\lVert \nabla f(\tilde x) \rVert^2\right]

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: not used.
        fake: floating-point ``[B, ...]``.
        key: not used.

    Returns:
        Scalar >= 0, to be weighted by the caller (the paper's gamma), and the
        mean gradient norm ``critic/gradient_norm_at_penalized_fakes``.

    Raises:
        AssertionError: if the critic does not return ``[B]``.

    Reference:
        Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406, equation 10.
    """
    value, norm = _half_squared_gradient_norm(critic_fn, fake)
    return value, {"critic/gradient_norm_at_penalized_fakes": norm}


def _half_squared_gradient_norm(
    critic_fn: CriticFn, points: Array
) -> tuple[Array, Array]:
    gradients = example_gradients(critic_fn, points)
    gradients = gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))
    # Squares are summed without a square root: they are smooth at gradient norm 0.
    total = jnp.sum(jnp.square(gradients)) / points.shape[0]
    return total / 2, jnp.mean(example_norms(gradients))


def _gradient_norms(norms: Array) -> Metrics:
    return {
        "critic/gradient_norm_mean": jnp.mean(norms),
        "critic/gradient_norm_max": jnp.max(norms),
    }


PENALTIES: dict[str, Callable[..., Any]] = {
    "gradient_penalty": gradient_penalty,
    "r1": r1,
    "r2": r2,
    "dragan": dragan,
    "divergence": divergence,
    "consistency": consistency,
    "drift": drift,
}
