"""Options of the rows of a table, read from their signatures.

A row is a function whose keyword-only parameters are its options, a Flax module
whose fields are its options, or an objective with the options of its losses.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import pydantic
from annotated_types import Ge
from flax import linen as nn

from wgan_jax.config.experiment import Row, Table
from wgan_jax.errors import ConfigError
from wgan_jax.losses import Objective
from wgan_jax.modules import Network
from wgan_jax.ranges import OneOf, bounds

# Types of config fields. Options of other types are available to library users only.
_PLAIN = (bool, int, float, str, tuple)
# Fields of a module that are derived from other parts of the config.
_GIVEN = ("image_shape", "classes", "dtype")

RowType = TypeVar("RowType", bound=Row)


def row_parameters(entry: Any) -> dict[str, inspect.Parameter]:
    """Returns the options of a row by name.

    Args:
        entry: function, Flax module class, or objective.
    """
    if isinstance(entry, Objective):
        losses = (entry.critic_loss, entry.generator_loss)
        return {k: p for loss in losses for k, p in row_parameters(loss).items()}
    parameters = inspect.signature(entry).parameters.values()
    if _is_module(entry):
        return {
            p.name: p
            for p in parameters
            if p.name not in ("parent", "name", *_GIVEN)
            and (p.default is p.empty or _is_plain(p))
        }
    return {
        p.name: p
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and p.name not in _GIVEN
    }


@functools.cache
def row_type(base: type[RowType], entry: Any) -> type[RowType]:
    """Returns a group type with the fields of a base and the options of a row.

    Args:
        base: group type with the fields common to all rows of the table.
        entry: the row.
    """
    options: dict[str, Any] = {}
    for name, parameter in row_parameters(entry).items():
        default = parameter.default
        if name in base.model_fields:  # common to all rows
            continue
        kind = _option_type(parameter, at_least_one=_is_module(entry))
        options[name] = (kind, ... if default is parameter.empty else default)
    return pydantic.create_model(base.__name__, __base__=base, **options)


def build_module(
    table: Table,
    row: Row,
    where: str,
    *,
    needed: Mapping[str, Any],
    offered: Mapping[str, Any],
) -> Network:
    """Returns the network described by a row of a table of networks.

    Args:
        table: Flax module classes, or functions that return a network, by name.
        row: name and options of the network.
        where: name of the config group, for messages.
        needed: values derived from other parts of the config. The network must
            have an option for each value that is neither 0 nor None.
        offered: further such values, for networks with options for them.

    Raises:
        ConfigError: if the network does not have a required option, or rejects a
            value.
    """
    entry = as_config_error(table.lookup, row.name)
    options = inspect.signature(entry).parameters
    for name, value in needed.items():
        if name not in options and value:
            able = sorted(
                other
                for other, known in table.rows.items()
                if name in inspect.signature(known).parameters
            )
            raise ConfigError(
                f"config.{where}.name is {row.name!r}, which has no {name}, but this "
                f"config needs it; choices: {', '.join(able)}."
            )
    given = {**offered, **needed}
    known = {name: value for name, value in given.items() if name in options}
    return as_config_error(entry, **row.options | known)


def as_config_error(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls a function, and converts a ValueError to a ConfigError.

    Args:
        function: function to call.
        *args: arguments of the function.
        **kwargs: keyword arguments of the function.

    Returns:
        The result of the function.

    Raises:
        ConfigError: with the message of the ValueError. Subclasses of ValueError
            are not converted.
    """
    try:
        return function(*args, **kwargs)
    except ConfigError:
        raise
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise ConfigError(str(error)) from error


def _is_module(entry: Any) -> bool:
    return inspect.isclass(entry) and issubclass(entry, nn.Module)


def _is_plain(parameter: inspect.Parameter) -> bool:
    """Returns whether a config can hold the values of an option."""
    if parameter.default is None:
        return _plain_type(parameter.annotation) not in (None, NoneType)
    return isinstance(parameter.default, _PLAIN)


def _option_type(parameter: inspect.Parameter, *, at_least_one: bool) -> Any:
    """Returns the type of an option with its range, restricted to config types."""
    annotation, default = parameter.annotation, parameter.default
    plain = _plain_type(annotation)
    if plain is None:
        plain = type(default) if isinstance(default, _PLAIN) else Any
    found: tuple[Any, ...] = bounds(annotation)
    if get_origin(annotation) is Annotated:
        found += tuple(m for m in get_args(annotation) if isinstance(m, OneOf))
    if at_least_one and plain is int and not found:
        found = (Ge(1),)
    for bound in found:
        plain = Annotated[plain, bound]
    return plain


def _plain_type(annotation: Any) -> Any:
    """Returns an annotation restricted to config types; None if none is left."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain_type(get_args(annotation)[0])
    if origin in (Union, UnionType):
        parts = [_plain_type(part) for part in get_args(annotation)]
        kept = [part for part in parts if part is not None]
        return Union[tuple(kept)] if set(kept) - {NoneType} else None  # noqa: UP007
    if annotation in (*_PLAIN, NoneType) or origin in (tuple, Literal):
        return annotation
    return None
