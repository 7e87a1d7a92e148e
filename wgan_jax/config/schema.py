"""The fields of a config, and which of them define a run."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from wgan_jax.errors import ConfigError, choices

FIELDS: dict[str, tuple[str, ...] | None] = {
    # Group -> its fields; None: the fields of a function in a table.
    "seed": (),
    "objective": None,  # a name, or a group of a name and options
    "dataset": None,
    "generator": None,
    "critic": None,
    "penalty": None,
    "penalties": None,
    "constraint": None,
    "regularizer": None,
    "conditional": ("fake_labels", "critic_weight", "generator_weight"),
    "augmentation": ("policy",),
    "optimizer": ("generator", "critic"),
    "training": (
        "iterations",
        "iterations_per_call",
        "batch_size",
        "generator_batch_size",
        "microbatches",
        "n_critic",
        "boosted_n_critic",
        "boosted_first",
        "boosted_every",
        "ema_decay",
        "compute_dtype",
        "placement",
        "replicas",
        "learning_rate_schedule",
        "learning_rate_final",
        "schedule_iterations",
    ),
    "sweep": ("field", "values"),
    "checkpoint": ("every", "keep"),
    "samples": ("every", "count", "seed", "label"),
    "log": ("every",),
    "evaluation": (
        "every",
        "count",
        "features",
        "measures",
        "split",
        "held_out",
        "best_by",
        "batch_size",
        "seed",
    ),
}
OPTIONAL_GROUPS = (
    "penalty",
    "penalties",
    "constraint",
    "regularizer",
    "conditional",
    "augmentation",
    "sweep",
    "evaluation",
)
OPTIONAL_FIELDS = (
    "conditional.fake_labels",
    "conditional.critic_weight",
    "conditional.generator_weight",
    "training.iterations_per_call",
    "training.generator_batch_size",
    "training.microbatches",
    "training.boosted_n_critic",
    "training.boosted_first",
    "training.boosted_every",
    "training.compute_dtype",
    "training.placement",
    "training.replicas",
    "training.learning_rate_final",
    "training.schedule_iterations",
    "samples.label",
    "evaluation.measures",
    "evaluation.split",
    "evaluation.held_out",
    "evaluation.best_by",
)
COUNTS = (
    "training.iterations",
    "training.iterations_per_call",
    "training.batch_size",
    "training.generator_batch_size",
    "training.microbatches",
    "training.replicas",
    "training.schedule_iterations",
    "checkpoint.every",
    "checkpoint.keep",
    "samples.every",
    "samples.count",
    "log.every",
    "evaluation.count",
    "evaluation.batch_size",
)
# A run may be resumed with these changed: they leave its arithmetic alone.
FREE_GROUPS = ("evaluation",)
FREE_FIELDS = (
    "dataset.data_dir",
    "training.iterations",
    "training.iterations_per_call",
    "training.placement",
    "checkpoint.every",
    "checkpoint.keep",
    "samples.every",
    "samples.count",
    "samples.seed",
    "samples.label",
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
    for name in COUNTS:
        _check_at_least_one(config, name)


def options(config: ml_collections.ConfigDict, group: str) -> dict[str, Any]:
    """The fields of a group; None stands for leaving one at its default."""
    fields = config.get(group) or {}
    return {name: value for name, value in fields.items() if value is not None}


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, free: bool = False
) -> list[str]:
    """Fields in which two configs differ and that change a run's arithmetic.

    Args:
        old: a config as plain dictionaries, as ``config.json`` has it.
        new: another.
        free: those that leave the arithmetic alone, too.

    Returns:
        One line a field, ``name: old -> new``, sorted by name. A field that is
        absent in one and None in the other does not differ.
    """
    before, after = (
        {name: value for name, value in flatten(tree) if value is not None}
        for tree in (old, new)
    )
    ignored: set[str] = set() if free else set(FREE_FIELDS)
    if _ends_with_the_run(before) or _ends_with_the_run(after):
        ignored.discard("training.iterations")
    return [
        f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in sorted(before.keys() | after.keys())
        if name not in ignored
        and (free or name.split(".")[0] not in FREE_GROUPS)
        and before.get(name, "absent") != after.get(name, "absent")
    ]


def _ends_with_the_run(fields: Mapping[str, Any]) -> bool:
    """Whether a schedule's length is that of the run."""
    if fields.get("training.schedule_iterations"):
        return False
    return fields.get("training.learning_rate_schedule") != "constant" or any(
        name.endswith(".final_weight") for name in fields
    )


def _check_at_least_one(config: ml_collections.ConfigDict, name: str) -> None:
    group, field = name.split(".")
    if group in OPTIONAL_GROUPS and not config.get(group):
        return
    value = config[group].get(field)
    if value is None and (name in OPTIONAL_FIELDS):
        return
    if not isinstance(value, int) or value < 1:
        raise ConfigError(
            f"config.{name} is {value}; it must be a whole number above 0."
        )


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yields names and values of nested mappings, ``a.b.c`` for nested ones."""
    for name, value in tree.items():
        if isinstance(value, Mapping | ml_collections.ConfigDict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns a config as JSON values, with lists in the place of tuples."""
    found: dict[str, Any] = json.loads(config.to_json())
    return found
