"""Which term of a loss is not finite, in the words of the config."""

import math
from collections.abc import Mapping

from wgan_jax.config.experiment import ExperimentConfig


def first_bad_term(metrics: Mapping[str, float], config: ExperimentConfig) -> str:
    """Returns the first term of an update that is not finite, with its metric.

    Args:
        metrics: metrics of an update or an iteration.
        config: config of the run.

    Returns:
        Words such as ``the penalty gradient_penalty (critic/penalty)``; empty if
        everything is finite.
    """
    for name, words in _in_order(metrics, config):
        if not math.isfinite(metrics[name]):
            return f"{words} ({name})"
    return ""


def _in_order(
    metrics: Mapping[str, float], config: ExperimentConfig
) -> list[tuple[str, str]]:
    """Returns the metrics in the order in which they are computed, with words."""
    penalty = "" if config.penalty is None else f" {config.penalty.name}"
    regularizer = "" if config.regularizer is None else f" {config.regularizer.name}"
    labels = {label: term.name for label, term in config.penalties}
    ordered = {
        "critic/real_score": "the scores of real examples",
        "critic/fake_score": "the scores of generated examples",
        **{
            f"critic/penalty/{label}": f"the penalty {name} of {label}"
            for label, name in labels.items()
        },
        "critic/penalty": f"the penalty{penalty}",
        "critic/class_loss": "the class loss of the critic",
        "critic/loss": f"the objective {config.objective.name} of the critic",
        "critic/grad_norm": "the gradient of the critic",
        "critic/update_norm": "the update of the critic",
        "critic/param_norm": "the parameters of the critic",
        "generator/class_loss": "the class loss of the generator",
        "generator/regularizer": f"the regularizer{regularizer}",
        "generator/loss": f"the objective {config.objective.name} of the generator",
        "generator/grad_norm": "the gradient of the generator",
        "generator/update_norm": "the update of the generator",
        "generator/param_norm": "the parameters of the generator",
    }
    found = [(name, words) for name, words in ordered.items() if name in metrics]
    rest = [name for name in metrics if name not in ordered]
    return found + [(name, "the metric") for name in sorted(rest)]
