"""Tests of ranges in signatures and of their messages."""

from dataclasses import dataclass
from typing import Annotated, Literal

import jax
import pytest
from annotated_types import Ge, Gt, Le, Lt

from wgan_jax.ranges import (
    Count,
    Decay,
    OneOf,
    Positive,
    bounds,
    check_fields,
    checked,
    in_words,
)


@checked
def halve(x, *, by: Positive = 2.0, decay: Decay | None = None):
    return x / by if decay is None else x * decay


def test_valid_values_are_accepted():
    assert halve(4.0) == 2.0
    assert halve(4.0, by=4.0) == 1.0
    assert halve(4.0, decay=0.0) == 0.0
    assert halve(4.0, decay=None) == 2.0
    assert float(jax.jit(lambda by: halve(4.0, by=by))(-1.0)) == -4.0  # traced


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": 0.0}, "halve: by is 0.0; it must be above 0."),
        ({"by": float("nan")}, "halve: by is nan; it must be above 0."),
        ({"decay": 1.0}, "halve: decay is 1.0; it must be in [0, 1)."),
    ],
)
def test_invalid_value_error_names_value_and_range(given, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        halve(1.0, **given)
    assert str(raised.value) == message


@dataclass
class Settings:
    n: Count = 1
    kind: Literal["a", "b"] = "a"

    def __post_init__(self):
        check_fields(self)


def test_fields_of_a_dataclass_are_checked():
    Settings(n=3, kind="b")
    with pytest.raises(ValueError, match=r"Settings: n is 0; it must be at least 1\."):
        Settings(n=0)
    with pytest.raises(ValueError, match=r"kind is 'c'; it must be one of 'a', 'b'\."):
        Settings(kind="c")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[int, Ge(2)], "at least 2"),
        (Annotated[float, Gt(0), Le(1)] | None, "in (0, 1]"),
        (Annotated[float, Ge(0), Lt(1)], "in [0, 1)"),
        (Annotated[float, Lt(1)], "below 1"),
        (Annotated[float, Le(1)], "at most 1"),
    ],
)
def test_in_words_describes_ranges(annotation, words):
    assert in_words(bounds(annotation)) == words


def test_one_of_reads_the_table_when_checking():
    table = {}
    one_of = OneOf(table)
    table["new"] = 1
    assert "new" in one_of.names
