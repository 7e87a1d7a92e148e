"""Metadata of config fields: type, range, table and marks."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from wgan_jax.config.experiment import ExperimentConfig, Group, Table
from wgan_jax.ranges import bounds, in_words

# Options of rows that may change when a run is resumed.
_FREE_OPTIONS = ("dataset.data_dir",)


def free_fields() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the groups and fields that may change when a run is resumed."""
    whole, single = [], list(_FREE_OPTIONS)
    for name, field in ExperimentConfig.model_fields.items():
        if is_marked(field, "free"):
            whole.append(name)
        elif (group := group_of(field)) is not None:
            fields = group.model_fields.items()
            single += [f"{name}.{k}" for k, f in fields if is_marked(f, "free")]
    return tuple(whole), tuple(single)


def annotation_parts(annotation: Any) -> list[Any]:
    """Returns an annotation, followed by its nested types and metadata."""
    found = [annotation]
    if get_origin(annotation) in (Annotated, Union, types.UnionType, tuple):
        for part in get_args(annotation):
            found += annotation_parts(part)
    return found


def group_of(field: FieldInfo) -> type[Group] | None:
    """Returns the group type of a field; None if it is not a group."""
    for part in annotation_parts(field.annotation):
        if isinstance(part, type) and issubclass(part, Group):
            return part
    return None


def table_of(field: FieldInfo) -> Table | None:
    """Returns the table of a field; None if it does not name a row."""
    parts = [*field.metadata, *annotation_parts(field.annotation)]
    return next((part for part in parts if isinstance(part, Table)), None)


def is_marked(field: FieldInfo, mark: str) -> bool:
    """Returns whether a field has a mark of ``experiment.field``.

    Args:
        field: a field.
        mark: ``free`` or ``keyed``.
    """
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(mark))


def describe(field: FieldInfo) -> str:
    """Returns the valid values of a field in words, such as "a number above 0"."""
    found = tuple(b for m in field.metadata for b in bounds(Annotated[Any, m]))
    found += bounds(field.annotation)
    for part in annotation_parts(field.annotation):
        if get_origin(part) is Literal:
            return f"one of {', '.join(map(repr, get_args(part)))}"
        if part is tuple or get_origin(part) is tuple:
            kind = annotation_parts(part)[1] if get_args(part) else Any
            return _SEVERAL.get(kind, "a tuple, such as (1, 2)")
        if part in _WORDS:
            return (
                f"{_WORDS[part]} {in_words(found)}".strip() if found else _WORDS[part]
            )
    return "another value"


_SEVERAL = {
    float: "a tuple of numbers, such as (0.1, 1.0)",
    int: "a tuple of whole numbers, such as (1, 2)",
}
_WORDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "a string",
}
