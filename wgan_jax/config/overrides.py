"""Fields of a config that are set to values given as text."""

import ast
import re
from collections.abc import Sequence
from typing import Any

import ml_collections

from wgan_jax.config.resolve import field_kind
from wgan_jax.errors import ConfigError

_TRUE, _FALSE = ("true", "t", "1", "yes"), ("false", "f", "0", "no")


def split_overrides(
    arguments: Sequence[str],
) -> tuple[list[tuple[str, str]], list[str]]:
    """Separates overrides from the other arguments of a command line.

    Args:
        arguments: command-line arguments. Overrides have the form
            ``--config.NAME=TEXT`` or ``--config.NAME TEXT``.

    Returns:
        Names and texts for ``apply_overrides``, and the other arguments.

    Raises:
        ConfigError: if an override has no value.
    """
    overrides, others = [], []
    remaining = iter(arguments)
    for argument in remaining:
        match = re.match(r"--config\.([^=]*)(=?)(.*)$", argument, re.DOTALL)
        if not match:
            others.append(argument)
            continue
        text = match[3]
        if not match[2]:
            text = next(remaining, "")
            if not text or text.startswith("--"):
                raise ConfigError(f"{argument} needs a value: {argument}=VALUE.")
        overrides.append((match[1], text))
    return overrides, others


def apply_overrides(
    config: ml_collections.ConfigDict, overrides: Sequence[tuple[str, str]]
) -> None:
    """Sets fields of a config to values given as text.

    The text is parsed as the type of the field if possible, and otherwise as a
    Python literal. ``None`` removes an optional group. Another ``name`` of a row
    removes the options that the new row does not have, unless they are set, too.
    ``resolve`` reports unknown fields and invalid values.

    Args:
        config: config to modify in place.
        overrides: ``(name, text)`` such as ``("training.batch_size", "128")``.

    Raises:
        ConfigError: if an override names a group, or a field inside a value.
            The message names every such override.
    """
    problems = []
    groups = [name.removesuffix(".name") for name, _ in overrides]
    rows = {group: row for group in groups if (row := _row(config, group))}
    with config.unlocked(), config.ignore_type():
        for name, text in overrides:
            try:
                _override(config, name, text)
            except ConfigError as error:
                problems.append(str(error))
        for group, row in rows.items():
            if row != (_row(config, group) or row):
                _drop_options(config, group, {name for name, _ in overrides})
    if problems:
        raise ConfigError("\n".join(problems))


def _override(config: ml_collections.ConfigDict, name: str, text: str) -> None:
    if name == "objective" and not isinstance(config.get("objective"), str):
        name = "objective.name"
    *path, field = name.split(".")
    if path == ["objective"] and isinstance(config.get("objective"), str):
        config.objective = ml_collections.ConfigDict({"name": config.objective})
    level, passed = config, "config"
    for group in path:
        passed = f"{passed}.{group}"
        if level.get(group) is None:
            level[group] = ml_collections.ConfigDict()
        level = level[group]
        if not isinstance(level, ml_collections.ConfigDict):
            raise ConfigError(
                f"config.{name} cannot be set, because {passed} is not a group."
            )
    if isinstance(level.get(field), ml_collections.ConfigDict) and text != "None":
        raise ConfigError(
            f"config.{name} is a group; set one of its fields, such as "
            f"--config.{name}.{next(iter(level[field]), 'name')}=..., or None to "
            "remove it."
        )
    value = _value(text, field_kind(config, name))
    if field in level:
        del level[field]  # otherwise its type is enforced on the new value
    try:
        level[field] = value
    except (ValueError, TypeError):  # a mapping that is no group
        level[field] = text


def _group(config: ml_collections.ConfigDict, name: str) -> Any:
    """Returns a group; None if there is none."""
    level: Any = config
    for part in name.split("."):
        level = (
            level.get(part) if isinstance(level, ml_collections.ConfigDict) else None
        )
    return level if isinstance(level, ml_collections.ConfigDict) else None


def _row(config: ml_collections.ConfigDict, name: str) -> str | None:
    """Returns the row that a group names; None for other fields."""
    group = _group(config, name)
    return None if group is None else group.get("name")


def _drop_options(config: ml_collections.ConfigDict, name: str, kept: set[str]) -> None:
    """Removes the options of a group that its row does not have, but for some."""
    group = _group(config, name)
    for field, value in list(group.items()):
        path = f"{name}.{field}"
        is_option = not isinstance(value, ml_collections.ConfigDict)
        if is_option and path not in kept and field_kind(config, path) is None:
            del group[field]


def _value(text: str, kind: type | None) -> Any:
    """Parses text as a type; as a Python literal if that is not possible."""
    lower = text.lower()
    if text == "None" or (lower == "none" and kind is not str):
        return None
    if kind is str:
        return text
    if kind is bool and lower in (*_TRUE, *_FALSE):
        return lower in _TRUE
    if kind is tuple:
        return _several(text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return _guess(text)


def _several(text: str) -> tuple[Any, ...]:
    found = _guess(text)
    if isinstance(found, tuple | list):
        return tuple(found)
    if isinstance(found, str):
        return tuple(_guess(part.strip()) for part in found.split(",") if part.strip())
    return (found,)


def _guess(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
