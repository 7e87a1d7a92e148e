"""Validates a config and reports all of its mistakes."""

import contextlib
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar, get_origin

import ml_collections
import numpy as np
import pydantic
from pydantic.fields import FieldInfo

from wgan_jax.config.checks import CHECKS
from wgan_jax.config.experiment import ExperimentConfig, Group, Row, Table
from wgan_jax.config.fields import (
    annotation_parts,
    describe,
    group_of,
    is_marked,
    table_of,
)
from wgan_jax.config.problems import Problems
from wgan_jax.config.rows import row_type
from wgan_jax.errors import ConfigError, choices, similar

Config: TypeAlias = ExperimentConfig | ml_collections.ConfigDict | Mapping[str, Any]
_GroupType = TypeVar("_GroupType", bound=Group)


def resolve(config: Config) -> ExperimentConfig:
    """Returns the experiment that a config describes.

    A field whose value is None has its default value.

    Args:
        config: config of one experiment. An ``ExperimentConfig`` is returned
            unchanged.

    Raises:
        ConfigError: if the config is invalid, with a line for each mistake: the
            field, its value, and which values are valid.
    """
    if isinstance(config, ExperimentConfig):
        return config
    if not isinstance(config, ml_collections.ConfigDict | Mapping):
        raise ConfigError(
            f"config is {config!r}; it must be a config, such as get_config() of a "
            "file in configs returns."
        )
    reader = Reader()
    experiment = reader.read(config)
    reader.raise_all()
    return experiment


class Reader(Problems):
    """Reads configs and collects their mistakes."""

    def read(
        self, config: ml_collections.ConfigDict | Mapping[str, Any]
    ) -> ExperimentConfig:
        """Returns the experiment, with a valid value in place of each invalid one.

        If there are mistakes, the result is only suitable for further checks. A
        group that cannot be read at all is then None.

        Args:
            config: config of one experiment.
        """
        experiment = self._group(ExperimentConfig, _plain(config), "")
        for check in CHECKS:
            self.attempt(check, experiment)
        return experiment

    def _group(
        self, model: type[_GroupType], fields: Mapping[str, Any], where: str
    ) -> _GroupType:
        """Returns a group, with a valid value in place of each invalid one."""
        values: dict[str, Any] = {}
        broken: set[str] = set()
        for name, value in fields.items():
            field = model.model_fields.get(name)
            inner = None if field is None else group_of(field)
            if field is None or inner is None:
                values[name] = value
                continue
            if value == {}:  # all of its fields were None
                continue
            path = f"{where}{name}"
            read = self._keyed if is_marked(field, "keyed") else self._part
            found = read(inner, table_of(field), value, path)
            if found is None:
                broken.add(name)
            else:
                values[name] = found
        right = {k: v for k, v in values.items() if k not in broken}
        try:
            return model.model_validate(right)
        except pydantic.ValidationError as error:
            for one in error.errors():
                name = str(one["loc"][0])
                if name not in broken:
                    self.add(f"{where}{name}", _sentence(model, one, where, fields))
                    broken.add(name)
        right = {k: v for k, v in values.items() if k not in broken}
        for name, field in model.model_fields.items():
            if name not in right:
                right[name] = _stand_in(field)
        return model.model_construct(**right)

    def _part(
        self, inner: type[Group], table: Table | None, value: Any, path: str
    ) -> Group | None:
        """Returns a nested group; None if it cannot be read."""
        if table is not None and isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            some = next(iter(inner.model_fields))
            self.add(
                path,
                f"config.{path} is {value!r}; it must be a group of fields, such as "
                f"config.{path}.{some}.",
            )
            return None
        if table is None or not issubclass(inner, Row):
            return self._group(inner, value, f"{path}.")
        name = value.get("name")
        if not isinstance(name, str):
            given = "is missing" if name is None else f"is {name!r}"
            self.add(
                f"{path}.name", f"config.{path}.name {given}; {choices(table.rows)}."
            )
            entry = None
        else:
            try:
                entry = table.lookup(name)
            except ValueError as error:
                self.add(f"{path}.name", f"config.{path}.name {error}")
                entry = None
        if entry is None:  # fields common to all rows can still be checked
            own = {k: v for k, v in value.items() if k in inner.model_fields}
            self._group(inner, own | {"name": "unknown"}, f"{path}.")
            return None
        return self._group(row_type(inner, entry), value, f"{path}.")

    def _keyed(
        self, inner: type[Group], table: Table | None, value: Any, path: str
    ) -> tuple[tuple[str, Group], ...] | None:
        if not isinstance(value, Mapping):
            self.add(path, f"config.{path} is {value!r}; it must be groups by label.")
            return None
        parts = {
            label: self._part(inner, table, group, f"{path}.{label}")
            for label, group in value.items()
        }
        return tuple((k, part) for k, part in parts.items() if part is not None)


def field_kind(config: Any, name: str) -> type | None:
    """Returns the plain type of a field: bool, int, float, str or tuple.

    Args:
        config: nested mappings; the named rows determine the valid options.
        name: name of the field, such as ``penalty.weight``.

    Returns:
        The type; None if the field does not exist or is a group.
    """
    level: Any = config
    model: type[Group] = ExperimentConfig
    labels = False
    for part in name.split("."):
        level = _member(level, part)
        if labels:  # the part is a label, which is not a field
            labels = False
        else:
            field = model.model_fields.get(part)
            if field is None:
                return None
            inner = group_of(field)
            if inner is None:
                parts = [get_origin(x) or x for x in annotation_parts(field.annotation)]
                return next((x for x in parts if x in _KINDS), None)
            labels, table, model = is_marked(field, "keyed"), table_of(field), inner
        chosen = _member(level, "name")
        if table is not None and chosen is not None:
            with contextlib.suppress(ValueError):
                model = row_type(inner, table.lookup(chosen))
    return None


def _member(level: Any, name: str) -> Any:
    is_group = isinstance(level, Mapping | ml_collections.ConfigDict)
    return level.get(name) if is_group else None


_KINDS = (bool, int, float, str, tuple)


def _plain(value: Any) -> Any:
    """Returns nested dictionaries without None, lists or NumPy scalars."""
    if isinstance(value, ml_collections.ConfigDict):
        value = value.copy_and_resolve_references().to_dict()
    if isinstance(value, Mapping):
        found = {name: _plain(item) for name, item in value.items()}
        return {k: v for k, v in found.items() if v is not None}
    if isinstance(value, list):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _sentence(
    model: type[Group], error: Any, where: str, given: Mapping[str, Any]
) -> str:
    """Returns a validation error of pydantic as a sentence."""
    name = str(error["loc"][0])
    path, fields = f"config.{where}{name}", model.model_fields
    row = given.get("name") if issubclass(model, Row) else None
    if error["type"] == "extra_forbidden":
        own = model.__mro__[1].model_fields if row else {}  # type: ignore[attr-defined]
        known = [field for field in fields if field not in own]
        close = similar(name, fields)
        if row:
            return f"{path} is not read by {row!r};{close} {choices(known)}."
        return f"{path} is not a known field;{close} {choices(known)}."
    if error["type"] == "missing":
        return f"{path} is missing: {row!r} needs it." if row else f"{path} is missing."
    if error["type"] == "value_error":
        message = str(error["ctx"]["error"])
        return f"{path}{'' if message.startswith(chr(39)) else ':'} {message}"
    return f"{path} is {given[name]!r}; it must be {describe(fields[name])}."


def _stand_in(field: FieldInfo) -> Any:
    """Returns a valid value of a field, so that other fields can be checked."""
    if not field.is_required():
        return field.default
    kinds = annotation_parts(field.annotation)
    if int in kinds:
        return max([1, *(getattr(m, "ge", 1) for m in field.metadata)])
    return {float: 0.5, bool: False, str: ""}.get(kinds[0])
