"""Corrected Wasserstein estimates in the metrics."""

from functools import partial

import jax

from wgan_jax.gan import Gan
from wgan_jax.losses.estimators import (
    estimate_by_flow,
    estimate_by_gradient_norm,
    estimate_by_penalty,
)
from wgan_jax.losses.penalties import gradient_penalty_and_norms
from wgan_jax.losses.terms import Term
from wgan_jax.types import Array, Metrics

_ESTIMATE = "critic/wasserstein_estimate"
_GRADIENT_NORM = "critic/gradient_norm_mean"
_GRADIENT_NORM_AT_FAKES = "critic/gradient_norm_at_fakes"


def corrected_estimates(gan: Gan, metrics: Metrics, step: Array) -> Metrics:
    """Corrects the estimate of a critic constrained only by the gradient penalty.

    The corrections are derived for a single gradient penalty with target norm
    1. With any other term, a constraint, a kernel parametrization or another
    target, there are none. For a lazily evaluated penalty, the latest penalty
    value and gradient norm are used.

    Args:
        gan: static definition of the GAN.
        metrics: metrics of the critic update.
        step: scalar int32 iteration, for the weight of the penalty.

    Returns:
        The metrics ``critic/wasserstein_by_penalty`` (``estimate_by_penalty``),
        ``critic/wasserstein_by_flow`` (``estimate_by_flow``) and
        ``critic/wasserstein_by_gradient_norm`` (``estimate_by_gradient_norm``).
    """
    term = _unit_penalty(gan)
    if term is None or _ESTIMATE not in metrics:
        return {}
    estimate = metrics[_ESTIMATE]
    return {
        "critic/wasserstein_by_penalty": estimate_by_penalty(
            estimate, weight=term.weight_at(step)
        ),
        "critic/wasserstein_by_flow": estimate_by_flow(
            estimate, metrics["critic/penalty"]
        ),
        "critic/wasserstein_by_gradient_norm": estimate_by_gradient_norm(
            estimate, metrics[_GRADIENT_NORM]
        ),
    }


def corrected_estimate_at_fakes(gan: Gan, metrics: Metrics) -> Metrics:
    """Divides the estimate by the gradient norm at fakes, for other constraints.

    The scale of a clipped or spectrally normalized critic is arbitrary. Its
    estimate is meaningful only relative to a gradient norm.

    Args:
        gan: static definition of the GAN.
        metrics: metrics of the iteration: of the last critic update and of the
            generator update.

    Returns:
        The metric ``critic/wasserstein_by_gradient_norm_at_fakes``:
        ``estimate_by_gradient_norm`` with the gradient norm seen by the generator.
        Empty if ``corrected_estimates`` applies.
    """
    if _unit_penalty(gan) is not None or _ESTIMATE not in metrics:
        return {}
    reading = estimate_by_gradient_norm(
        metrics[_ESTIMATE], metrics[_GRADIENT_NORM_AT_FAKES]
    )
    return {"critic/wasserstein_by_gradient_norm_at_fakes": reading}


def _unit_penalty(gan: Gan) -> Term | None:
    """Returns the penalty if it is the only constraint and has target norm 1."""
    rescaled = getattr(gan.critic, "parametrization", "plain") != "plain"
    if len(gan.penalties) != 1 or gan.constraint is not None or rescaled:
        return None
    term = gan.penalties[0]
    function, target = term.function, 1.0
    if isinstance(function, partial):
        target = function.keywords.get("target", target)
        function = function.func
    if function is not gradient_penalty_and_norms:
        return None
    known = not isinstance(target, jax.core.Tracer)  # traced in a sweep
    return term if known and target == 1.0 else None
