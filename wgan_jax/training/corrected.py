"""Corrected readings of the critic's estimate in the metrics."""

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
    """Readings of a critic that only the gradient penalty to norm 1 constrains.

    They are derived for that penalty alone: beside another term, a constraint or
    rescaled kernels, or with another target, there are none. Of a lazy penalty the
    value and the gradient norm are those last measured.

    Args:
        gan: the static parts.
        metrics: of the critic's update.
        step: scalar int32, the iteration, for the penalty's weight.

    Returns:
        ``critic/wasserstein_by_penalty`` (``penalty_reading``),
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
    """Reading of a critic with any other constraint, over its gradient norm at fakes.

    A clipped or spectrally normalized critic has a scale of its own: its estimate
    says nothing until it is divided by a gradient norm.

    Args:
        gan: the static parts.
        metrics: of the iteration: the critic's last update and the generator's.

    Returns:
        ``critic/wasserstein_by_slope_at_fakes`` (``slope_reading`` of the slope
        that the generator met), where ``critic_readings`` has none.
    """
    if _unit_penalty(gan) is not None or _ESTIMATE not in metrics:
        return {}
    reading = slope_reading(metrics[_ESTIMATE], metrics[_SLOPE_AT_FAKES])
    return {"critic/wasserstein_by_slope_at_fakes": reading}


def _unit_penalty(gan: Gan) -> Term | None:
    """The gradient penalty to gradient norm 1, if nothing else bounds the critic."""
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
    known = not isinstance(target, jax.core.Tracer)  # one of a sweep is not
    return term if known and target == 1.0 else None
