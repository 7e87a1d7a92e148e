"""Each field of a config, and each option of each row, can be set from text."""

import inspect
from collections.abc import Callable
from types import NoneType
from typing import Annotated, Any

import pytest
from flax import linen as nn
from table_rows import fields, kinds, parameters, some_value

from wgan_jax.config.build import build_gan
from wgan_jax.config.experiment import ExperimentConfig, Row
from wgan_jax.config.fields import group_of, is_marked, table_of
from wgan_jax.config.loading import find_config, load_config
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.config.resolve import Reader
from wgan_jax.config.rows import row_type
from wgan_jax.losses import Objective

BASE = "digits_wgan_gp"
LABEL = "own"  # of additional penalties


def tables(model=ExperimentConfig, where=""):
    """Yields the path of each field that names a row, its group and its table."""
    for name, field in model.model_fields.items():
        inner, table = group_of(field), table_of(field)
        path = f"{where}{name}"
        if table is not None and inner is not None:
            label = f".{LABEL}" if is_marked(field, "keyed") else ""
            yield path + label, inner, table
        elif inner is not None:
            yield from tables(inner, f"{path}.")


def fields_of(model):
    return {k: field for k, field in model.model_fields.items() if k != "name"}


def valid(field):
    """Returns a valid value of a field: its default, or another one than None."""
    if not field.is_required() and field.default is not None:
        return field.default
    annotation = field.annotation
    for mark in field.metadata:
        annotation = Annotated[annotation, mark]
    if {int, float, bool} & kinds(field.annotation):
        return some_value(annotation)
    return "x" if str in kinds(field.annotation) else None


# What a config says elsewhere, and parts that are given in Python only.
GIVEN = {"image_shape", "classes", "dtype"}


def signature(entry):
    """Returns the options of a row as its signature has them, with plain types."""
    if isinstance(entry, Objective):
        losses = (entry.critic_loss, entry.generator_loss)
        return {name for loss in losses for name in parameters(loss)}
    if not inspect.isclass(entry):
        return parameters(entry).keys() - GIVEN
    found = inspect.signature(entry).parameters
    plain = {bool, int, float, str, tuple, NoneType}
    types = {name: kinds(found[name].annotation) for name in fields(entry)}
    return {
        name
        for name, inner in types.items()
        if any(kind in plain for kind in inner) and name not in GIVEN
    }


def text_of(value):
    return value if isinstance(value, str) else repr(value)


def read(overrides):
    """Returns the experiment, and the mistakes in it."""
    config, reader = load_config(find_config(BASE)), Reader()
    apply_overrides(config, overrides)
    return reader.read(config), reader.messages


def value_at(found, path):
    for part in path.split("."):
        found = dict(found)[part] if isinstance(found, tuple) else getattr(found, part)
    return found


ROWS = [
    pytest.param(path, inner, table, name, id=f"{path}-{name}")
    for path, inner, table in tables()
    for name in table.rows
]


@pytest.mark.parametrize(("path", "inner", "table", "name"), ROWS)
def test_each_option_of_a_row_is_read_from_text(path, inner, table, name):
    entry = table.lookup(name)
    own = fields_of(row_type(inner, entry))
    assert signature(entry) <= own.keys()
    values = {field: valid(about) for field, about in own.items()}
    texts = [(f"{path}.{field}", text_of(value)) for field, value in values.items()]
    experiment, messages = read([(f"{path}.name", name), *texts])
    assert {k: v for k, v in messages.items() if k.startswith(path)} == {}
    group = value_at(experiment, path)
    assert isinstance(group, Row)
    assert {field: getattr(group, field) for field in own} == values


def optional(model=ExperimentConfig, where=""):
    """Yields the path of each field, but of rows' options, that may be None."""
    for name, field in model.model_fields.items():
        inner = group_of(field)
        if NoneType in kinds(field.annotation) and inner is None:
            yield f"{where}{name}", field
        if inner is not None and not is_marked(field, "keyed"):
            yield from optional(inner, f"{where}{name}.")


# Values of fields whose text is checked, and the groups that fields need.
VALUES = {
    "evaluation.best_by": "frechet_distance",
    "evaluation.measures": "frechet,kernel",
}
GROUPS = {
    "constraint": ("constraint.name", "clip_weights"),
    "regularizer": ("regularizer.name", "path_length"),
    "augmentation": ("augmentation.policy", "color"),
}
OPTIONAL = dict(optional())


@pytest.mark.parametrize("name", OPTIONAL)
def test_each_field_that_may_be_none_is_set_and_removed_by_text(name):
    needed = [value for group, value in GROUPS.items() if name.startswith(group)]
    if name.startswith("regularizer"):
        needed.append(("regularizer.weight", "1.0"))
    text = VALUES.get(name, text_of(valid(OPTIONAL[name])))
    experiment, _ = read([*needed, (name, text)])  # may need other fields
    assert value_at(experiment, name) is not None
    for nothing in ("None", "none") if not text_kind(name) else ("None",):
        experiment, messages = read([*needed, (name, text), (name, nothing)])
        assert name not in messages
        assert value_at(experiment, name) is None


def text_kind(name):
    """Returns whether a field holds a text, which may be "none"."""
    return kinds(OPTIONAL[name].annotation) == {str, NoneType}


def test_fields_of_the_evaluation_that_users_remove_are_among_them():
    for name in ("best_by", "measures", "held_out"):
        assert f"evaluation.{name}" in OPTIONAL
    assert {"samples.label", "optimizer.critic.clip_norm"} <= OPTIONAL.keys()


class OwnCritic(nn.Module):
    """A critic with options that are None by default."""

    dropout: float | None = None
    dtype: Any = None
    activation: Callable[..., Any] | None = None

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(1)(images.reshape(images.shape[0], -1))[:, 0]


@pytest.mark.parametrize(("text", "value"), [("0.25", 0.25), ("None", None)])
def test_option_of_an_own_network_may_be_none(text, value):
    name = f"{__name__}:{OwnCritic.__name__}"
    experiment, messages = read([("critic.name", name), ("critic.dropout", text)])
    assert messages == {}
    assert experiment.critic.options == {"dropout": value}
    assert build_gan(experiment, (8, 8, 1)).critic.dropout == value
