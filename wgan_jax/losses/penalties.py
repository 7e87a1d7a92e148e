"""Penalties on the critic's gradient norm.

A penalty is ``(critic_fn, real, fake, key) -> scalar``, or the scalar and a
dictionary of what it measured on the way; its weight is applied by the step.
To add one, write the function and one row of ``PENALTIES`` at the foot of this
file. Library users hand a function of their own to ``Gan`` instead.
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
    """``gradient_penalty`` together with the gradient norms that it measured.

    Args:
        critic_fn: as for ``gradient_penalty``, like all other arguments.
        real: ``[B, ...]`` floating.
        fake: ``[B, ...]``, same shape.
        key: PRNG key, consumed.
        target: target gradient norm.
        one_sided: penalize only gradient norms above the target.

    Returns:
        The penalty, and ``critic/gradient_norm_mean`` and
        ``critic/gradient_norm_max`` over the interpolates.
    """
    norms = gradient_norms(critic_fn, interpolate(real, fake, key))
    excess = norms - target
    if one_sided:
        excess = jnp.maximum(excess, 0.0)
    return jnp.mean(jnp.square(excess)), _slopes(norms)


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
    r"""Squared distance of the critic's gradient norm from its target.

    .. math:: P = \mathbb{E}_{\hat x}
        \left[(\lVert \nabla f(\hat x) \rVert_2 - t)^2\right]
        \quad\text{or}\quad
        \mathbb{E}_{\hat x}
        \left[\max(0, \lVert \nabla f(\hat x) \rVert_2 - t)^2\right]

    with :math:`\hat x` uniform on the segments between real and fake examples.
    The norm is over all axes but the first, in at least float32. As a term of a Gan
    it also reports the mean and the largest norm (``gradient_penalty_and_norms``).

    Args:
        critic_fn: scores ``[B]`` of examples ``[B, ...]``, examples apart: a
            critic with batch norm has no gradient of one example.
        real: ``[B, ...]`` floating.
        fake: ``[B, ...]``, same shape.
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
    r"""Squared distance of the gradient norm near the data from its target.

    .. math:: P = \mathbb{E}_{x, \delta}
        \left[(\lVert \nabla f(x + \delta) \rVert_2 - t)^2\right],
        \quad \delta \sim N(0, (c\,s)^2 I)

    with :math:`s` the standard deviation of all numbers of the real batch. The
    noise is Gaussian and symmetric, as in the paper's equation. The authors'
    code moves each number by alpha u s / 2 with u and alpha uniform in [0, 1),
    one alpha an example: upwards alone.

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: ``[B, ...]`` floating.
        fake: not looked at.
        key: PRNG key, consumed.
        scale: c, >= 0.
        target: target gradient norm, >= 0 (k = 1 in the paper).

    Returns:
        Scalar >= 0, to be weighted by the caller (10 in the paper); and
        ``critic/gradient_norm_mean`` and ``critic/gradient_norm_max`` over the
        perturbed points.

    Raises:
        AssertionError: if the critic does not return ``[B]``.

    Reference:
        Kodali, Abernethy, Hays, Kira 2017, arXiv:1705.07215, the penalty
        scheme of DRAGAN, with local regions around the
        data; that c is relative to the data's deviation is from the authors' code.
    """
    norms = gradient_norms(critic_fn, perturb(real, key, scale=scale))
    return jnp.mean(jnp.square(norms - target)), _slopes(norms)


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
    r"""A power of the critic's gradient norm: the Wasserstein divergence's own term.

    .. math:: P = \mathbb{E}_{\hat x} \left[\lVert \nabla f(\hat x) \rVert_2^p\right]

    It belongs to the divergence itself and asks for no Lipschitz constraint.

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: ``[B, ...]`` floating.
        fake: ``[B, ...]``, same shape.
        key: PRNG key, consumed.
        power: p, at least 1; below that the slope of P at 0 is infinite.
        at: ``"interpolates"``: points of the segments between real and fake
            examples; ``"ends"``: the mean of P over the real and P over the
            fake examples, as some ports have it.

    Returns:
        Scalar >= 0, to be weighted by the caller (k = 2 in the paper); and
        ``critic/gradient_norm_mean`` and ``_max`` over the interpolates, or
        ``critic/gradient_norm_at_reals`` and ``_at_penalized_fakes``, means.

    Raises:
        ValueError: if ``power`` or ``at`` is none of these.
        AssertionError: if shapes differ or the critic does not return ``[B]``.

    Reference:
        Wu, Huang, Thoma, Acharya, Van Gool 2018, arXiv:1712.01026,
        algorithm 1, with k = 2 and p = 6.
    """
    if at == "interpolates":
        norms = gradient_norms(critic_fn, interpolate(real, fake, key))
        return jnp.mean(norms**power), _slopes(norms)
    if at == "ends":
        at_reals = gradient_norms(critic_fn, real)
        at_fakes = gradient_norms(critic_fn, fake)
        value = (jnp.mean(at_reals**power) + jnp.mean(at_fakes**power)) / 2
        return value, {
            "critic/gradient_norm_at_reals": jnp.mean(at_reals),
            "critic/gradient_norm_at_penalized_fakes": jnp.mean(at_fakes),
        }
    raise ValueError(f"divergence: at is {at!r}, and must be 'interpolates' or 'ends'.")


def r1(
    critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey
) -> tuple[Array, Metrics]:
    r"""Half the squared gradient norm of the critic at the data.

    .. math:: P = \frac{1}{2} \mathbb{E}_x \left[\lVert \nabla f(x) \rVert^2\right]

    The squares are summed over all axes of an example and averaged over the
    batch. With the half inside, the weight is the paper's gamma.

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: ``[B, ...]`` floating.
        fake: not looked at.
        key: not looked at.

    Returns:
        Scalar >= 0, to be weighted by the caller (10 in the paper); and the
        mean gradient norm ``critic/gradient_norm_at_reals``.

    Raises:
        AssertionError: if the critic does not return ``[B]``.

    Reference:
        Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406, equation 9.
    """
    value, slope = _half_squared_slope(critic_fn, real)
    return value, {"critic/gradient_norm_at_reals": slope}


def r2(
    critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey
) -> tuple[Array, Metrics]:
    r"""Half the squared gradient norm of the critic at generated examples.

    .. math:: P = \frac{1}{2} \mathbb{E}_{\tilde x}
        \left[\lVert \nabla f(\tilde x) \rVert^2\right]

    Args:
        critic_fn: as for ``gradient_penalty``.
        real: not looked at.
        fake: ``[B, ...]`` floating.
        key: not looked at.

    Returns:
        Scalar >= 0, to be weighted by the caller (gamma of the paper); and the
        mean gradient norm ``critic/gradient_norm_at_penalized_fakes``.

    Raises:
        AssertionError: if the critic does not return ``[B]``.

    Reference:
        Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406, equation 10.
    """
    value, slope = _half_squared_slope(critic_fn, fake)
    return value, {"critic/gradient_norm_at_penalized_fakes": slope}


def _half_squared_slope(critic_fn: CriticFn, points: Array) -> tuple[Array, Array]:
    gradients = example_gradients(critic_fn, points)
    gradients = gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))
    # No root on the way: a square is smooth at gradient norm 0.
    total = jnp.sum(jnp.square(gradients)) / points.shape[0]
    return total / 2, jnp.mean(example_norms(gradients))


def _slopes(norms: Array) -> Metrics:
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
