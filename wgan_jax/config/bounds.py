"""Whether a config bounds the gradient of the critic."""

from wgan_jax.config.experiment import CRITICS, ExperimentConfig

# Penalties on scores, and on differences of scores at one point.
_OTHER_PENALTIES = ("consistency", "drift")


def estimates_a_distance(config: ExperimentConfig) -> bool:
    """Returns whether the gap of the scores can estimate a Wasserstein distance.

    Without a bound on its gradient, a critic increases the gap by its scale alone.

    Args:
        config: an experiment.

    Returns:
        Whether there is a constraint, spectral normalization, or a penalty on
        gradients. Networks that are not of this package may have a bound of
        their own.
    """
    names = {term.name for _, term in config.penalties}
    if config.penalty is not None:
        names.add(config.penalty.name)
    own = None if config.critic.name in CRITICS.rows else "unknown"
    parametrization = config.critic.options.get("parametrization", own)
    return (
        config.constraint is not None
        or bool(names - set(_OTHER_PENALTIES))
        or parametrization not in (None, "plain", "weight_norm")
    )
