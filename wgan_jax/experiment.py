"""From a config to objects: the only file that knows the names of config fields."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import ml_collections

from wgan_jax import networks
from wgan_jax.binding import (
    ConfigError,
    bind,
    build_module,
    choices,
    look_up,
    refine,
)
from wgan_jax.data import Pipeline, Source, load_source
from wgan_jax.gan import Gan
from wgan_jax.losses import CONSTRAINTS, OBJECTIVES, PENALTIES
from wgan_jax.optimizers import OPTIMIZERS
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES, CriticSchedule, linear_decay

FIELDS: dict[str, tuple[str, ...] | None] = {
    # Group -> its fields; None: the fields of a function in a table.
    "seed": (),
    "objective": (),
    "dataset": None,
    "generator": None,
    "critic": None,
    "penalty": None,
    "constraint": None,
    "optimizer": ("generator", "critic"),
    "training": (
        "iterations",
        "batch_size",
        "generator_batch_size",
        "n_critic",
        "boosted_n_critic",
        "boosted_first",
        "boosted_every",
        "ema_decay",
        "learning_rate_schedule",
    ),
    "checkpoint": ("every", "keep"),
    "samples": ("every", "count", "seed"),
    "log": ("every",),
}
OPTIONAL_GROUPS = ("penalty", "constraint")
OPTIONAL_FIELDS = (
    "training.generator_batch_size",
    "training.boosted_n_critic",
    "training.boosted_first",
    "training.boosted_every",
)
# A run may be resumed with these changed: they leave its arithmetic alone.
FREE_FIELDS = (
    "dataset.data_dir",
    "training.iterations",
    "checkpoint.every",
    "checkpoint.keep",
    "samples.every",
    "samples.count",
    "samples.seed",
    "log.every",
)


def check_config(config: ml_collections.ConfigDict) -> None:
    """Refuses a config with fields that nothing reads, or without needed ones.

    Args:
        config: one experiment.

    Raises:
        ConfigError: naming the field and the choices.
    """
    for group in config:
        if group not in FIELDS:
            raise ConfigError(
                f"config.{group} is not a known field; {choices(FIELDS)}."
            )
    for group, fields in FIELDS.items():
        if group not in config:
            if group in OPTIONAL_GROUPS:
                continue
            raise ConfigError(f"config.{group} is missing.")
        if fields in (None, ()):
            continue
        for field in config[group]:
            if field not in fields:
                raise ConfigError(
                    f"config.{group}.{field} is not a known field; {choices(fields)}."
                )
        for field in fields:
            name = f"{group}.{field}"
            if field not in config[group] and name not in OPTIONAL_FIELDS:
                raise ConfigError(f"config.{name} is missing.")
    for name in (
        "training.iterations",
        "training.batch_size",
        "checkpoint.every",
        "checkpoint.keep",
        "samples.every",
        "samples.count",
        "log.every",
    ):
        _check_at_least_one(config, name)


def build_gan(
    config: ml_collections.ConfigDict, image_shape: tuple[int, ...] | None = None
) -> Gan:
    """The static parts of the GAN that a config describes.

    Args:
        config: one experiment.
        image_shape: shape of one example, ``(H, W, C)`` or ``(D,)``; that of
            the config's data set, which is then loaded, if None.

    Returns:
        The Gan; nothing is compiled yet.

    Raises:
        ConfigError: for an unknown name or option, or a mix that makes no sense.
        DataError: if the data set is needed for its shape and not to be had.
    """
    check_config(config)
    if image_shape is None:
        image_shape = build_source(config).example_shape
    training = config.training
    generator = _options(config, "generator")
    latent_size = generator.pop("latent_size", None)
    if not isinstance(latent_size, int) or latent_size < 1:
        raise ConfigError(
            f"config.generator.latent_size is {latent_size}; "
            "it must be a whole number above 0."
        )
    constraint = _options(config, "constraint")
    before = constraint.pop("before_update", False)
    return refine(
        Gan,
        generator=build_module(
            networks.GENERATORS, generator, "generator", image_shape=image_shape
        ),
        critic=build_module(networks.CRITICS, _options(config, "critic"), "critic"),
        objective=look_up(OBJECTIVES, config.objective, "objective"),
        generator_optimizer=_build_optimizer(config, "generator"),
        critic_optimizer=_build_optimizer(config, "critic"),
        latent_size=latent_size,
        penalties=_build_penalties(_options(config, "penalty")),
        constraint=bind(CONSTRAINTS, constraint, "constraint") if constraint else None,
        constrain_before_update=before,
        learning_rate_scale=_build_learning_rate_scale(config),
        generator_batch_size=training.get("generator_batch_size"),
        ema_decay=training.ema_decay,
        dequantize=config.dataset.get("dequantize", False),
    )


def build_schedule(config: ml_collections.ConfigDict) -> CriticSchedule:
    """How many updates the critic takes in each iteration.

    Args:
        config: one experiment.

    Returns:
        The schedule.

    Raises:
        ConfigError: if its numbers make no sense.
    """
    training = config.training
    return refine(
        CriticSchedule,
        n_critic=training.n_critic,
        boosted_n_critic=training.get("boosted_n_critic"),
        boosted_first=training.get("boosted_first"),
        boosted_every=training.get("boosted_every"),
    )


def build_source(config: ml_collections.ConfigDict) -> Source:
    """The data set of a config, in memory.

    Args:
        config: one experiment.

    Returns:
        The examples and where they come from.

    Raises:
        ConfigError: for an unknown name or option.
        DataError: if the data is not to be had, saying what to do.
    """
    options = _options(config, "dataset")
    options.pop("dequantize", None)
    name = options.pop("name", None)
    return refine(load_source, name, **options)


def build_pipeline(
    config: ml_collections.ConfigDict,
    source: Source,
    *,
    process_index: int = 0,
    process_count: int = 1,
) -> Pipeline:
    """Batches of a data set as a function of the iteration.

    Args:
        config: one experiment.
        source: what ``build_source`` gave.
        process_index: of this host.
        process_count: hosts that share each batch.

    Returns:
        The pipeline of this host's rows.

    Raises:
        ConfigError: if the batch does not fit the data or the hosts.
    """
    schedule = build_schedule(config)
    return refine(
        Pipeline,
        source,
        batch_size=config.training.batch_size,
        seed=config.seed,
        critic_updates=schedule.updates,
        critic_updates_before=schedule.updates_before,
        process_index=process_index,
        process_count=process_count,
    )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Fields in which two configs differ and that change a run's arithmetic.

    Args:
        old: a config as plain dictionaries, as ``config.json`` has it.
        new: another.

    Returns:
        One line a field, ``name: old -> new``, sorted by name.
    """
    before, after = dict(_flatten(old)), dict(_flatten(new))
    free = set(FREE_FIELDS)
    if "constant" not in (
        before.get("training.learning_rate_schedule"),
        after.get("training.learning_rate_schedule"),
    ):
        free.discard("training.iterations")  # a decay ends with the run
    return [
        f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in sorted(before.keys() | after.keys())
        if name not in free and before.get(name, "absent") != after.get(name, "absent")
    ]


def _build_optimizer(config: ml_collections.ConfigDict, player: str) -> Any:
    where = f"optimizer.{player}"
    options = dict(config.optimizer[player])
    return refine(bind(OPTIMIZERS, options, where))


def _build_penalties(options: dict[str, Any]) -> tuple[tuple[Any, float], ...]:
    if not options:
        return ()
    weight = options.pop("weight", None)
    if not isinstance(weight, int | float) or weight <= 0:
        raise ConfigError(
            f"config.penalty.weight is {weight}; it must be a number above 0 "
            "(leave config.penalty out for no penalty)."
        )
    return ((bind(PENALTIES, options, "penalty"), float(weight)),)


def _build_learning_rate_scale(config: ml_collections.ConfigDict) -> Callable[..., Any]:
    where = "training.learning_rate_schedule"
    function = look_up(
        LEARNING_RATE_SCHEDULES, config.training.learning_rate_schedule, where
    )
    if function is linear_decay:
        return partial(linear_decay, iterations=config.training.iterations)
    return function


def _options(config: ml_collections.ConfigDict, group: str) -> dict[str, Any]:
    """The fields of a group; None stands for leaving it at its default."""
    fields = config.get(group) or {}
    return {name: value for name, value in fields.items() if value is not None}


def _check_at_least_one(config: ml_collections.ConfigDict, name: str) -> None:
    group, field = name.split(".")
    value = config[group][field]
    if not isinstance(value, int) or value < 1:
        raise ConfigError(
            f"config.{name} is {value}; it must be a whole number above 0."
        )


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
