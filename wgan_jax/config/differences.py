"""Comparison of configs, and which differences make a different run."""

import contextlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from wgan_jax.config.experiment import as_json
from wgan_jax.config.fields import free_fields
from wgan_jax.config.resolve import resolve
from wgan_jax.errors import ConfigError


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
    if _ends_with_the_run(before) or _ends_with_the_run(after):
        ignored.discard("training.iterations")
    return [
        f"{name}: {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in sorted(before.keys() | after.keys())
        if name not in ignored
        and (free or name.split(".")[0] not in groups)
        and before.get(name, "absent") != after.get(name, "absent")
    ]


def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yields the names and values of nested mappings, with names like ``a.b.c``."""
    for name, value in tree.items():
        if isinstance(value, Mapping | ml_collections.ConfigDict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


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


def _ends_with_the_run(fields: Mapping[str, Any]) -> bool:
    """Returns whether the length of a schedule depends on that of the run."""
    if fields.get("training.schedule_iterations"):
        return False
    return fields.get("training.learning_rate_schedule") != "constant" or any(
        name.endswith(_ENDS) for name in fields
    )
