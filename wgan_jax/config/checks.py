"""Consistency checks between the fields of an experiment.

To add a check, write a function that raises ConfigError and add it to ``CHECKS``.
Checks that depend on the dataset or the devices are made when the objects are
built.
"""

import inspect
from collections.abc import Callable

import numpy as np
import pydantic

from wgan_jax.config.experiment import ExperimentConfig, value_of
from wgan_jax.config.fields import describe
from wgan_jax.errors import ConfigError, choices
from wgan_jax.evaluation import MEASURES, ordered_metrics
from wgan_jax.io.services import find_callback
from wgan_jax.losses import OBJECTIVES
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES

# These events can only happen between two calls of the compiled step.
_BETWEEN_CALLS = (
    "training.iterations",
    "checkpoint.every",
    "samples.every",
    "evaluation.every",
)


def check_critic_schedule(config: ExperimentConfig) -> None:
    """Raises ConfigError if only some of the boost fields are set."""
    training = config.training
    names = ("boosted_n_critic", "boosted_first", "boosted_every")
    missing = [name for name in names if getattr(training, name) is None]
    if 0 < len(missing) < len(names):
        raise ConfigError(
            f"config.training.{missing[0]} is missing; set all or none of "
            f"{', '.join(names)}."
        )


def check_learning_rate_schedule(config: ExperimentConfig) -> None:
    """Raises ConfigError if ``learning_rate_final`` is missing or unused."""
    training = config.training
    name = training.learning_rate_schedule
    reads = inspect.signature(LEARNING_RATE_SCHEDULES[name]).parameters
    final = training.learning_rate_final
    if final is None and "final" in reads:
        raise ConfigError(
            f"config.training.learning_rate_final is missing: {name!r} needs it."
        )
    if final is not None and "final" not in reads:
        raise ConfigError(
            f"config.training.learning_rate_final is not read by the schedule {name!r}."
        )


def check_schedule_length(config: ExperimentConfig) -> None:
    """Raises ConfigError if ``schedule_iterations`` is set but unused."""
    training = config.training
    reads = inspect.signature(
        LEARNING_RATE_SCHEDULES[training.learning_rate_schedule]
    ).parameters
    terms = [config.penalty, config.regularizer]
    terms += [term for _, term in config.penalties]
    augmentation = config.augmentation
    finals = [
        *(term.final_weight for term in terms if term),
        *(
            row.options.get("final_b2")
            for row in (config.optimizer.generator, config.optimizer.critic)
        ),
        augmentation.final_probability if augmentation else None,
        training.ema_initial_half_life,
    ]
    moves = any(value is not None for value in finals)
    if training.schedule_iterations and not (moves or "iterations" in reads):
        raise ConfigError(
            "config.training.schedule_iterations is set, but no schedule reads it. "
            "Leave it unset, or set a learning_rate_schedule or a final_weight."
        )


def check_optimizer_schedules(config: ExperimentConfig) -> None:
    """Raises ConfigError if the length of an unused schedule is set."""
    for network in ("generator", "critic"):
        options = getattr(config.optimizer, network).options
        length = options.get("schedule_iterations")
        if length is not None and options.get("final_b2") is None:
            raise ConfigError(
                f"config.optimizer.{network}.schedule_iterations is {length}, but "
                "final_b2 is not set. Set both or none of them."
            )


def check_ema(config: ExperimentConfig) -> None:
    """Raises ConfigError if the fields of the EMA contradict each other."""
    training = config.training
    if training.ema_half_life is not None and training.ema_decay is not None:
        raise ConfigError(
            f"config.training.ema_half_life is {training.ema_half_life} and "
            f"config.training.ema_decay is {training.ema_decay}; one of them must be "
            "None."
        )
    both = (training.ema_rampup, training.ema_initial_half_life)
    names = ("ema_rampup", "ema_initial_half_life")
    for name, value in zip(names, both, strict=True):
        if value is not None and training.ema_half_life is None:
            raise ConfigError(
                f"config.training.{name} is {value}, but config.training.ema_half_life "
                "is not set. Set it, or leave both unset."
            )
    if None not in both:
        raise ConfigError(
            f"config.training.ema_rampup is {both[0]} and "
            f"config.training.ema_initial_half_life is {both[1]}; at most one of them "
            "can be set."
        )


def check_augmentation(config: ExperimentConfig) -> None:
    """Raises ConfigError if the fields of the augmentation contradict each other."""
    fields = config.augmentation
    if fields is None:
        return
    final, target = fields.final_probability, fields.target
    if final is not None and fields.probability is None:
        raise ConfigError(
            f"config.augmentation.final_probability is {final}, but "
            "config.augmentation.probability is not set; it is the initial value."
        )
    if final is not None and target is not None:
        raise ConfigError(
            f"config.augmentation.final_probability is {final} and "
            f"config.augmentation.target is {target}; at most one of them can be set."
        )
    if target is not None and not OBJECTIVES[config.objective.name].signed:
        signed = [name for name, row in OBJECTIVES.items() if row.signed]
        raise ConfigError(
            f"config.augmentation.target is {target}, but with the objective "
            f"{config.objective.name!r} the sign of a score has no meaning; "
            f"{choices(signed)}."
        )


def check_conditional(config: ExperimentConfig) -> None:
    """Raises ConfigError if ``conditional`` is set for a dataset without labels."""
    if config.conditional is not None and not config.dataset.labels:
        raise ConfigError(
            "config.conditional is set, but config.dataset.labels is False; it must "
            "be True for class-conditional generation."
        )


def check_paired(config: ExperimentConfig) -> None:
    """Raises ConfigError if a paired objective is given two batch sizes."""
    size = config.training.generator_batch_size
    if size is not None and OBJECTIVES[config.objective.name].paired:
        raise ConfigError(
            f"config.training.generator_batch_size is {size}, but the objective "
            f"{config.objective.name!r} pairs each generated example with a real one. "
            "Leave it unset."
        )


def check_placement(config: ExperimentConfig) -> None:
    """Raises ConfigError if replicas are combined with a sharded state."""
    placement = config.training.placement
    if placement != "replicated" and _is_replicated(config):
        raise ConfigError(
            f"config.training.placement is {placement!r}, but the replicas of "
            "config.training.replicas or config.sweep are divided among the devices. "
            "Use placement=replicated."
        )


def check_calls(config: ExperimentConfig) -> None:
    """Raises ConfigError if ``iterations_per_call`` does not fit the config.

    Args:
        config: an experiment.

    Raises:
        ConfigError: if an interval or the length of the run is not a multiple
            of ``iterations_per_call``, the number of critic updates differs
            between iterations, or there are replicas.
    """
    per_call = config.training.iterations_per_call
    if per_call == 1:
        return
    wanted = f"config.training.iterations_per_call={per_call}"
    if config.training.boosted_n_critic:
        raise ConfigError(
            f"{wanted} needs the same number of critic updates in each iteration, but "
            "config.training.boosted_n_critic is set. Use iterations_per_call=1."
        )
    if _is_replicated(config):
        raise ConfigError(
            f"{wanted} is for a single run, but config.training.replicas or "
            "config.sweep is set. Use iterations_per_call=1."
        )
    wrong = []
    for name in _BETWEEN_CALLS:
        group, field = name.split(".")
        every = getattr(getattr(config, group), field, 0)
        if every % per_call:
            below = every - every % per_call
            some = " or ".join(str(n) for n in (below, below + per_call) if n)
            wrong.append(
                f"config.{name} is {every}, which is not a multiple of {wanted}. Use "
                f"{some}, or fewer iterations per call."
            )
    if wrong:
        raise ConfigError("\n".join(wrong))


def check_callbacks(config: ExperimentConfig) -> None:
    """Raises ConfigError if a callback is unknown or needs a missing package."""
    for name in config.log.callbacks:
        try:
            find_callback(name)
        except ValueError as error:
            raise ConfigError(f"config.log.callbacks: {error}") from error


def check_evaluation(config: ExperimentConfig) -> None:
    """Raises ConfigError if the evaluation fields contradict each other."""
    fields = config.evaluation
    if fields is None:
        return
    if fields.held_out is not None and fields.held_out == config.dataset.split:
        raise ConfigError(
            f"config.evaluation.held_out is {fields.held_out!r}, which is the training "
            "split. Use another split, or None."
        )
    names = MEASURES if fields.measures is None else fields.measures
    if not names:
        raise ConfigError(
            f"config.evaluation.measures is empty; {choices(MEASURES)}. Use None for "
            "all of them."
        )
    ordered = ordered_metrics(MEASURES[name] for name in names)
    if fields.best_by is not None and fields.best_by not in ordered:
        raise ConfigError(
            f"config.evaluation.best_by is {fields.best_by!r}; it must be a measured "
            f"metric for which lower or higher is better; {choices(ordered)}."
        )


# Groups of fields that a compiled step does not read.
_SHARED = ("dataset", "log", "samples", "checkpoint", "evaluation")


def check_sweep(config: ExperimentConfig) -> None:
    """Raises ConfigError unless the sweep has distinct values of a float field."""
    if config.sweep is None:
        return
    name, values = config.sweep.field, config.sweep.values
    try:
        known = isinstance(value_of(config, name), float)
    except KeyError:
        known = False
    if not known:
        raise ConfigError(
            f"config.sweep.field is {name!r}; it must be the name of a field with a "
            "decimal number, such as 'penalty.weight'."
        )
    above, _, last = name.rpartition(".")
    if name.split(".")[0] in _SHARED:
        raise ConfigError(
            f"config.sweep.field is {name!r}, but all replicas share the fields of "
            f"{', '.join(_SHARED)}; use a field of the networks, the losses, the "
            "optimizers or the training."
        )
    # The compiled step receives the values as float32.
    if not values or len({np.float32(v) for v in values}) < len(values):
        raise ConfigError(
            f"config.sweep.values is {values!r}; it must be numbers that are distinct "
            "in float32."
        )
    group = value_of(config, above)
    for value in values:
        try:
            type(group).model_validate(dict(group) | {last: value})
        except pydantic.ValidationError:
            right = describe(type(group).model_fields[last])
            raise ConfigError(
                f"config.sweep.values contains {value}, but config.{name} must be "
                f"{right}."
            ) from None


def _is_replicated(config: ExperimentConfig) -> bool:
    return config.training.replicas > 1 or config.sweep is not None


CHECKS: tuple[Callable[[ExperimentConfig], None], ...] = (
    check_critic_schedule,
    check_learning_rate_schedule,
    check_schedule_length,
    check_optimizer_schedules,
    check_ema,
    check_augmentation,
    check_conditional,
    check_paired,
    check_placement,
    check_calls,
    check_callbacks,
    check_evaluation,
    check_sweep,
)
