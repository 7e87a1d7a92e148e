"""Builds objects from a name in a table and options from a config.

A table maps names to functions or modules. What an entry reads is its
signature, so an option that it does not read is an error before anything
compiles.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from wgan_jax.errors import ConfigError, choices

PLAIN = bool | int | float | str | tuple  # what a config's field may hold


def lookup(table: Mapping[str, Any], name: Any, where: str) -> Any:
    """The table's entry of that name.

    Args:
        table: names to objects.
        name: as the user wrote it.
        where: the config field it stood in.

    Returns:
        The entry.

    Raises:
        ConfigError: listing the table's names.
    """
    if name is None:
        raise ConfigError(f"config.{where} is missing; {choices(table)}.")
    if name not in table:
        raise ConfigError(f"config.{where} {name!r} is not known; {choices(table)}.")
    return table[name]


def bind(table: Mapping[str, Any], options: dict[str, Any], where: str) -> Any:
    """The function that ``options['name']`` names, with the other options bound.

    Args:
        table: names to functions, their options keyword-only.
        options: ``name`` and options by name.
        where: the config group they stood in.

    Returns:
        A function of the remaining arguments.

    Raises:
        ConfigError: for an unknown name, an option that the function does not
            read, or one that it needs and does not get.
    """
    options = dict(options)
    name = options.pop("name", None)
    function = lookup(table, name, f"{where}.name")
    known = {
        p.name: p
        for p in inspect.signature(function).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    }
    _check_options(options, known, where, name)
    return partial(function, **options)


def build_module(
    table: Mapping[str, Any], options: dict[str, Any], where: str, **fixed: Any
) -> Any:
    """The module that ``options['name']`` names, with the other options set.

    Args:
        table: names to linen modules.
        options: ``name`` and fields by name.
        where: the config group they stood in.
        **fixed: values of fields that the config does not set in this group; a
            module may lack one whose value is 0 or None.

    Returns:
        The module.

    Raises:
        ConfigError: for an unknown name, a field that the module does not have
            or that holds no plain value, or one that it needs and does not get.
    """
    name = options.pop("name", None)
    module = lookup(table, name, f"{where}.name")
    fields = inspect.signature(module).parameters
    for field, value in fixed.items():
        if field not in fields and value:
            able = [
                row
                for row, other in table.items()
                if field in inspect.signature(other).parameters
            ]
            raise ConfigError(
                f"config.{where}.name {name!r} has no {field}, which this config "
                f"needs; {choices(able)}."
            )
    known = {
        p.name: p
        for p in fields.values()
        if p.name not in ("parent", "name", *fixed)
        # A config holds plain values; classes and dtypes are for library users.
        and (p.default is p.empty or isinstance(p.default, PLAIN))
    }
    _check_options(options, known, where, name)
    for field, value in options.items():
        whole = type(known[field].default) is int
        if whole and (type(value) is not int or value < 1):
            raise ConfigError(
                f"config.{where}.{field} is {value}; it must be a whole number above 0."
            )
    given = {field: value for field, value in fixed.items() if field in fields}
    return as_config_error(module, **given, **options)


def _check_options(
    options: Mapping[str, Any],
    known: Mapping[str, inspect.Parameter],
    where: str,
    name: str,
) -> None:
    for option in options:
        if option not in known:
            raise ConfigError(
                f"config.{where}.{option} is not read by {name!r}; {choices(known)}."
            )
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise ConfigError(f"config.{where}.{option} is missing: {name!r} needs it.")


def as_config_error(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls, and turns a ValueError about a setting into a ConfigError.

    Args:
        function: what to call.
        *args: passed on.
        **kwargs: passed on.

    Returns:
        What the function returns.

    Raises:
        ConfigError: with the message of the function's own plain ValueError.
    """
    try:
        return function(*args, **kwargs)
    except ConfigError:
        raise
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise ConfigError(str(error)) from error
