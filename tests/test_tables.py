"""Tests that all rows of all tables are complete, reporting everything at once."""

import functools

import pytest
from flax import linen as nn
from table_rows import (
    TABLES,
    all_missing,
    functions_of,
    kinds,
    missing,
    missing_in_config,
    parameters,
)

from wgan_jax.data import load_source
from wgan_jax.evaluation import Measure
from wgan_jax.losses import Objective
from wgan_jax.ranges import bounds, inside


def test_all_rows_and_configs_are_complete():
    found = all_missing()
    head = f"{len(found)} missing; docs/extending.md shows complete rows:"
    assert not found, "\n".join([head, *found])


class Bare(nn.Module):
    units: int

    @nn.compact
    def __call__(self, x):
        return x


def bare(x, y, *, rate):
    return x


# Parts of the messages for a row without docstring, defaults or golden file.
ROWS = {
    "OBJECTIVES": (Objective(bare, bare), ["docstring", "rate", "source", ".npz"]),
    "PENALTIES": (bare, ["4 come before '*'", "source", "mine.npz", "mine.py"]),
    "CONSTRAINTS": (bare, ["1 come before '*'", "source", "mine.npz", "mine.py"]),
    "REGULARIZERS": (bare, ["0 come before '*'", "source", "mine.npz", "mine.py"]),
    "AUGMENTATIONS": (bare, ["no docstring", "'rate' has no default", "source"]),
    "GENERATORS": (Bare, ["Attributes", "units", "image_shape", "train", "source"]),
    "CRITICS": (Bare, ["Attributes", "'units' has no default", "train", "source"]),
    "PARAMETRIZATIONS": (bare, ["no docstring", "'rate' has no default", "source"]),
    "OPTIMIZERS": (bare, ["0 come before '*'", "no docstring"]),
    "LEARNING_RATE_SCHEDULES": (bare, ["1 come before '*'", "no docstring"]),
    "DATASETS": (bare, ["1 come before '*'", "'rate' has no default"]),
    "MEASURES": (Measure(bare, {}), ["1 come before '*'", "reports no number"]),
    "EXTRACTORS": (bare, ["1 come before '*'", "no docstring", "no default"]),
}


@pytest.mark.parametrize("table", TABLES)
def test_everything_missing_in_a_row_is_reported(table):
    row, expected = ROWS[table]
    found = list(missing(table, "mine", row))
    assert all(sentence.startswith(f"{table}['mine']: ") for sentence in found)
    assert all(sentence.endswith(".") for sentence in found)
    for words in [*expected, "`mine` is in none of docs/methods.md"]:
        assert any(words in sentence for sentence in found), (words, found)


def test_everything_missing_in_a_config_is_reported(tmp_path):
    path = tmp_path / "digits_bare.py"
    path.write_text("def get_config():\n    return {}\n")
    found = list(missing_in_config(path))
    words = ["no Paper", "no Command", "no Cost", "no Expect", "'python launch.py --c"]
    for expected in [*words, "`digits_bare` is in none of"]:
        assert any(expected in sentence for sentence in found), (expected, found)


def calls(table, name, row):
    """Returns the functions that check a row's options, and the options."""
    if table == "DATASETS":
        return [(functools.partial(load_source, name), parameters(row))]
    functions = [function for function, _ in functions_of(table, row)]
    return [(function, parameters(function)) for function in functions]


def outside(annotation):
    """Returns values outside the range of an option, if it has one."""
    found = bounds(annotation)
    whole = int in kinds(annotation)
    values = (-1, 0, 2) if whole else (-1.0, 0.0, 0.5, 1.5, float("nan"))
    return [value for value in values if found and not inside(value, found)]


FUNCTIONS = [table for table in TABLES if table not in ("GENERATORS", "CRITICS")]
ROWS_OF_FUNCTIONS = [(table, name) for table in FUNCTIONS for name in TABLES[table]]


@pytest.mark.parametrize(("table", "name"), ROWS_OF_FUNCTIONS)
def test_values_outside_the_range_of_an_option_are_rejected(table, name):
    for call, known in calls(table, name, TABLES[table][name]):
        for option, parameter in known.items():
            for value in outside(parameter.annotation):
                with pytest.raises(ValueError, match=option):
                    call(**{option: value})
