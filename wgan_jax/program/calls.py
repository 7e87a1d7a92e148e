"""Checks whether a run can make several iterations in one call."""

import math

import ml_collections

from wgan_jax.config.schema import options
from wgan_jax.errors import ConfigError

# What happens after certain iterations happens between two calls.
_BETWEEN_CALLS = (
    "training.iterations",
    "checkpoint.every",
    "samples.every",
    "evaluation.every",
)


def iterations_per_call(config: ml_collections.ConfigDict) -> int:
    """How many iterations one call of the compiled step takes, 1 by default."""
    return config.training.get("iterations_per_call") or 1


def check_calls(config: ml_collections.ConfigDict) -> None:
    """Refuses calls of several iterations where something comes in between.

    Args:
        config: one experiment, as ``check_config`` lets pass.

    Raises:
        ConfigError: if an interval or the run's length is no multiple of the
            iterations of a call, the critic's updates differ between
            iterations, or there are replicas.
    """
    per_call = iterations_per_call(config)
    if per_call == 1:
        return
    wanted = f"config.training.iterations_per_call={per_call}"
    if config.training.get("boosted_n_critic"):
        raise ConfigError(
            f"{wanted} asks for as many critic updates in each iteration, but "
            "config.training.boosted_n_critic is set; use iterations_per_call=1."
        )
    if (config.training.get("replicas") or 1) > 1 or options(config, "sweep"):
        raise ConfigError(
            f"{wanted} is for one run, but config.training.replicas or config.sweep "
            "asks for several side by side; use iterations_per_call=1."
        )
    for name in _BETWEEN_CALLS:
        group, field = name.split(".")
        every = options(config, group).get(field)
        if isinstance(every, int) and every % per_call:
            below = every - every % per_call
            choices = [str(n) for n in (below, below + per_call) if n]
            raise ConfigError(
                f"config.{name}={every} is no multiple of {wanted}; use "
                f"{' or '.join(choices)}, or fewer iterations per call."
            )


def check_start(config: ml_collections.ConfigDict, start: int) -> None:
    """Refuses to go on from an iteration that no call of this length ends with.

    Args:
        config: one experiment.
        start: iterations already done.

    Raises:
        ConfigError: with the longest call that would do.
    """
    per_call = iterations_per_call(config)
    if start < config.training.iterations and start % per_call:
        raise ConfigError(
            f"the last checkpoint is of iteration {start}, which is no multiple of "
            f"config.training.iterations_per_call={per_call}; use "
            f"{math.gcd(start, per_call)} to go on from there."
        )
