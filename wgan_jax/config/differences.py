"""Comparison of configs, and which differences make a different run."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import ml_collections

from wgan_jax.config.experiment import as_json
from wgan_jax.config.fields import free_fields
from wgan_jax.config.resolve import resolve
from wgan_jax.errors import ConfigError
from wgan_jax.io.mappings import flatten


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, free: bool = False
) -> list[str]:
    """Returns the fields in which two configs differ and that affect the results.

    A field at its default value is equal to an absent field.

    Args:
        old: a config as nested dictionaries, as stored in ``config.json``.
        new: the config to compare with.
        free: include fields that do not affect the results.

    Returns:
        One line per field, ``name: old -> new``, sorted by name.
    """
    before, after = (_comparable(tree) for tree in (old, new))
    groups, fields = free_fields()
    ignored = set() if free else set(fields)
    lengths = {_schedule_length(before), _schedule_length(after)}
    if len(lengths) > 1 and not all(map(_has_own_length, (before, after))):
        ignored.discard("training.iterations")
    elif len(lengths) == 1 and lengths != {None} and not free:
        ignored.add("training.schedule_iterations")
    return [
        f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in sorted(before.keys() | after.keys())
        if name not in ignored
        and (free or name.split(".")[0] not in groups)
        and before.get(name, "absent") != after.get(name, "absent")
    ]


def plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns a config as JSON values, with lists instead of tuples."""
    found: dict[str, Any] = json.loads(config.to_json())
    return found


def _comparable(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns fields by name, with defaults if this version accepts the config."""
    with contextlib.suppress(ConfigError):
        tree = as_json(resolve(tree))
    return {name: value for name, value in flatten(tree) if value is not None}


# Fields that make a setting follow a schedule, which ends with the run.
_ENDS = (
    ".final_weight",
    ".final_b2",
    ".final_probability",
    ".ema_initial_half_life",
)


def _schedule_length(fields: Mapping[str, Any]) -> int | None:
    """Returns the length of the schedules of a run; None if it has no schedule."""
    scheduled = fields.get("training.learning_rate_schedule") != "constant" or any(
        name.endswith(_ENDS) for name in fields
    )
    own = fields.get("training.schedule_iterations")
    return own or fields.get("training.iterations") if scheduled else None


def _has_own_length(fields: Mapping[str, Any]) -> bool:
    """Returns whether the length of the schedules is independent of that of the run."""
    return bool(fields.get("training.schedule_iterations"))
