"""Corrected Wasserstein estimates in the metrics."""

from functools import partial

import jax

from wgan_jax.gan import Gan
from wgan_jax.losses.estimators import flow_reading, penalty_reading, slope_reading
from wgan_jax.losses.penalties import gradient_penalty_and_norms
from wgan_jax.losses.terms import Term
from wgan_jax.types import Array, Metrics

_ESTIMATE = "critic/wasserstein_estimate"
_SLOPE = "critic/gradient_norm_mean"
_SLOPE_AT_FAKES = "critic/gradient_norm_at_fakes"


def critic_readings(gan: Gan, metrics: Metrics, step: Array) -> Metrics:
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
        The metrics ``critic/wasserstein_by_penalty`` (``penalty_reading``),
        ``critic/wasserstein_by_flow`` (``flow_reading``) and
        ``critic/wasserstein_by_slope`` (``slope_reading``).
    """
    term = _unit_penalty(gan)
    if term is None or _ESTIMATE not in metrics:
        return {}
    estimate = metrics[_ESTIMATE]
    return {
        "critic/wasserstein_by_penalty": penalty_reading(
            estimate, weight=term.weight_at(step)
        ),
        "critic/wasserstein_by_flow": flow_reading(estimate, metrics["critic/penalty"]),
        "critic/wasserstein_by_slope": slope_reading(estimate, metrics[_SLOPE]),
    }


def iteration_readings(gan: Gan, metrics: Metrics) -> Metrics:
    """Divides the estimate by the gradient norm at fakes, for other constraints.

    The scale of a clipped or spectrally normalized critic is arbitrary. Its
    estimate is meaningful only relative to a gradient norm.

    Args:
        gan: static definition of the GAN.
        metrics: metrics of the iteration: of the last critic update and of the
            generator update.

    Returns:
        The metric ``critic/wasserstein_by_slope_at_fakes``: ``slope_reading``
        with the gradient norm seen by the generator. Empty if
        ``critic_readings`` applies.
    """
    if _unit_penalty(gan) is not None or _ESTIMATE not in metrics:
        return {}
    reading = slope_reading(metrics[_ESTIMATE], metrics[_SLOPE_AT_FAKES])
    return {"critic/wasserstein_by_slope_at_fakes": reading}


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
