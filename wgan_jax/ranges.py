"""Ranges of hyperparameters, declared in signatures and checked in one place.

A range is part of a parameter's annotation, such as ``Positive``. ``checked`` enforces
it for library users, and configs read it for their checks.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    ParamSpec,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

import jax
import pydantic
from annotated_types import Ge, Gt, Le, Lt
from pydantic_core import CoreSchema, core_schema

from wgan_jax.errors import unknown

_P = ParamSpec("_P")
_R = TypeVar("_R")

Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
AtLeastOne = Annotated[float, Ge(1)]
Decay = Annotated[float, Ge(0), Lt(1)]
Fraction = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Ge(1)]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]


@dataclass(frozen=True, eq=False)
class OneOf:
    """The values of an annotated string: the names in a table, read when it is checked.

    Attributes:
        names: a table, or a collection of names.
    """

    names: Collection[str]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> CoreSchema:
        """Lets a config's field be checked."""

        def check(name: str) -> str:
            if name not in self.names:
                raise ValueError(unknown(name, self.names))
            return name

        schema = handler(source)
        return core_schema.no_info_after_validator_function(check, schema)


Bound = Ge | Gt | Le | Lt


def bounds(annotation: Any) -> tuple[Bound, ...]:
    """Returns the bounds in an annotation, those inside ``X | None`` included."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        return tuple(m for m in metadata if isinstance(m, Bound)) + bounds(inner)
    if origin in (Union, UnionType):
        return tuple(b for part in get_args(annotation) for b in bounds(part))
    return ()


def inside(value: Any, found: tuple[Bound, ...]) -> bool:
    """Whether a value keeps all bounds; NaN keeps none."""
    try:
        return all(_keeps(value, bound) for bound in found)
    except TypeError:  # not a number
        return False


def _keeps(value: Any, bound: Bound) -> bool:
    match bound:
        case Ge(limit):
            kept = value >= limit
        case Gt(limit):
            kept = value > limit
        case Le(limit):
            kept = value <= limit
        case Lt(limit):
            kept = value < limit
    return bool(kept)


def in_words(found: tuple[Bound, ...]) -> str:
    """Returns a range as it stands in a message: ``above 0``, ``in [0, 1)``."""
    lower = next((b for b in found if isinstance(b, Ge | Gt)), None)
    upper = next((b for b in found if isinstance(b, Le | Lt)), None)
    low = lower.ge if isinstance(lower, Ge) else lower.gt if lower else None
    high = upper.le if isinstance(upper, Le) else upper.lt if upper else None
    if low is not None and high is not None:
        left = "[" if isinstance(lower, Ge) else "("
        right = "]" if isinstance(upper, Le) else ")"
        return f"in {left}{low}, {high}{right}"
    if low is not None:
        return f"at least {low}" if isinstance(lower, Ge) else f"above {low}"
    return f"at most {high}" if isinstance(upper, Le) else f"below {high}"


def allowed(annotation: Any) -> tuple[Any, ...]:
    """Returns the values that an annotation ``Literal`` lists; none for another."""
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def check_ranges(
    where: str, parameters: Mapping[str, inspect.Parameter], values: Mapping[str, Any]
) -> None:
    """Raises for the first value outside the range of its parameter.

    A traced value and a function are accepted, since they are not known, and so is
    None.

    Args:
        where: the function or class, for the message.
        parameters: by name, annotated with their ranges.
        values: by name.

    Raises:
        ValueError: naming the parameter, its value and its range.
    """
    for name, value in values.items():
        unknown_yet = isinstance(value, jax.core.Tracer | None) or callable(value)
        if name not in parameters or unknown_yet:
            continue
        annotation = parameters[name].annotation
        listed, found = allowed(annotation), bounds(annotation)
        if listed and value not in listed:
            some = ", ".join(map(repr, listed))
            raise ValueError(f"{where}: {name} is {value!r}; it must be one of {some}.")
        if not inside(value, found):
            raise ValueError(
                f"{where}: {name} is {value!r}; it must be {in_words(found)}."
            )


def check_fields(instance: Any) -> None:
    """Raises for the first field of a dataclass outside the range of its annotation.

    Args:
        instance: of the dataclass.

    Raises:
        ValueError: naming the field, its value and its range.
    """
    kind = type(instance)
    check_ranges(kind.__name__, inspect.signature(kind).parameters, vars(instance))


def checked(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorates a function that raises ValueError for arguments out of their ranges.

    Args:
        function: its hyperparameters are keyword-only and annotated.
    """
    parameters = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        check_ranges(function.__name__, parameters, kwargs)
        return function(*args, **kwargs)

    return call
