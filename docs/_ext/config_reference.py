"""Config reference, generated from the schema and the tables of the package.

``directives.py`` puts it into the pages.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from functools import partial
from types import NoneType
from typing import Annotated, Any

from api import flags_as_code, link_papers
from flax import linen as nn
from pydantic.fields import FieldInfo

from wgan_jax.augmentation import AUGMENTATIONS
from wgan_jax.config import fields
from wgan_jax.config.experiment import ExperimentConfig, Group, Row
from wgan_jax.config.rows import row_type
from wgan_jax.data import load_source
from wgan_jax.evaluation import Measure
from wgan_jax.losses import Objective
from wgan_jax.networks import PARAMETRIZATIONS
from wgan_jax.ranges import OneOf, allowed, bounds, in_words
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES

# Modes that read a group, and what for. A test compares it with the schema.
READERS = {
    "seed": "train",
    "objective": "train; evaluate, for the held-out estimate",
    "dataset": "train, evaluate; the shape of an example in all modes",
    "generator": "all modes: the network is rebuilt from it",
    "critic": "train, evaluate (held-out estimate), plan",
    "penalty": "train, plan",
    "penalties": "train, plan",
    "constraint": "train, plan",
    "regularizer": "train, plan",
    "conditional": "train, plan",
    "augmentation": "train, plan",
    "optimizer": "train, plan",
    "training": "train, plan; its EMA fields decide which weights other modes read",
    "sweep": "train, plan",
    "checkpoint": "train",
    "samples": "train (previews), sample; evaluate, for ``standing_batches``",
    "log": "train",
    "evaluation": "train (periodic evaluation), evaluate",
}
# Table: title, field of the config that names a row, or the option that does.
TABLES: dict[str, tuple[str, str]] = {
    "objectives": ("Objectives", "objective"),
    "penalties": ("Penalties", "penalty"),
    "constraints": ("Constraints", "constraint"),
    "regularizers": ("Regularizers", "regularizer"),
    "generators": ("Generators", "generator"),
    "critics": ("Critics", "critic"),
    "parametrizations": ("Parametrizations", "critic.parametrization"),
    "optimizers": ("Optimizers", "optimizer.critic"),
    "learning-rate-schedules": (
        "Learning-rate schedules",
        "training.learning_rate_schedule",
    ),
    "augmentations": ("Augmentations", "augmentation.policy"),
    "datasets": ("Datasets", "dataset"),
    "extractors": ("Feature extractors", "evaluation.features"),
    "measures": ("Measures", "evaluation.measures"),
}
_SHEETS = {
    "critic.parametrization": PARAMETRIZATIONS,
    "training.learning_rate_schedule": LEARNING_RATE_SCHEDULES,
    "augmentation.policy": AUGMENTATIONS,
}
_ALSO = {
    "penalties": " Further ones are ``penalties.LABEL``, with the same options.",
    "optimizers": " ``optimizer.generator`` has the same rows and options.",
    "augmentations": " Several are separated by commas.",
    "measures": " Several are separated by commas.",
}
_OF_A_FILE = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.[\w./]+\w")


def find_field(path: str) -> FieldInfo:
    """Returns a field of the schema by its path, such as ``optimizer.critic``."""
    model: type[Group] = ExperimentConfig
    *groups, last = path.split(".")
    for name in groups:
        inner = fields.group_of(model.model_fields[name])
        assert inner is not None
        model = inner
    return model.model_fields[last]


def rows_of(path: str) -> dict[str, Any]:
    """Returns the rows that a field of the config can name."""
    if path in _SHEETS:
        return dict(_SHEETS[path])
    field = find_field(path)
    table = fields.table_of(field)
    if table is not None:
        return dict(table.rows)
    parts = [*field.metadata, *fields.annotation_parts(field.annotation)]
    names = next(part.names for part in parts if isinstance(part, OneOf))
    return dict(names)  # type: ignore[call-overload]


def values_in_words(field: FieldInfo) -> str:
    """Returns the valid values of a field, such as "a number above 0, or None"."""
    parts = [*field.metadata, *fields.annotation_parts(field.annotation)]
    listed = next((part.names for part in parts if isinstance(part, OneOf)), None)
    choices = next((found for part in parts if (found := allowed(part))), ())
    if listed is not None:
        text = f"one of {_literals(listed)}"
        if tuple in [getattr(part, "__origin__", part) for part in parts]:
            text = text.replace("one of", "a tuple of", 1)
    elif choices:
        text = f"one of {_literals(choices)}"
    elif field.annotation is Any:
        text = "a value of any type"
    else:
        found = tuple(b for m in field.metadata for b in bounds(Annotated[Any, m]))
        text = fields.describe(field)
        if text == "a number" and found:
            text = f"a number {in_words(found)}"
    return f"{text}, or None" if NoneType in parts else text


def _literals(values: Any) -> str:
    return ", ".join(f"``{value or repr(value)}``" for value in values)


def default_in_words(field: FieldInfo) -> str:
    """Returns the default of a field, or "required"."""
    return "required" if field.is_required() else repr(field.default)


def all_fields() -> Iterator[tuple[str, FieldInfo, type[Group] | None]]:
    """Yields the path of each field, the field, and its type if it is a group."""
    for name, field in ExperimentConfig.model_fields.items():
        inner = fields.group_of(field)
        yield name, field, inner
        for part, own in (inner.model_fields if inner else {}).items():
            nested = fields.group_of(own)
            if nested is None or not issubclass(nested, Row):
                yield f"{_shown(name)}.{part}", own, None
            else:
                yield f"{name}.{part}", own, nested


def _shown(name: str) -> str:
    return f"{name}.LABEL" if name == "penalties" else name


def _described(path: str, text: str, values: str, default: str) -> list[str]:
    """Returns the entry of one field."""
    return [
        f".. confval:: {path}",
        "",
        f"   {flags_as_code(text[:1].upper() + text[1:])}.",
        "",
        f"   *Values*: {values}. *Default*: {default}.",
        "",
    ]


def _described_field(path: str, field: FieldInfo, *, free: bool) -> list[str]:
    default = default_in_words(field)
    shown = default if default == "required" else f"``{default}``"
    if free:
        shown += ". It can be changed when a run is resumed"
    values = values_in_words(field)
    if path.endswith(".name"):
        values = "a row of the table"
    return _described(path, (field.description or "").strip(), values, shown)


def fields_as_rst() -> str:
    """Returns the description of all fields as reStructuredText."""
    whole, single = fields.free_fields()
    lines: list[str] = []
    labels = {path: label for label, (_, path) in TABLES.items()}
    labels |= {"penalties": "penalties", "optimizer.generator": "optimizers"}
    for path, field, inner in all_fields():
        free = path in single or path.split(".")[0] in whole
        label = labels.get(path)
        if "." not in path:
            lines += ["", path, "-" * len(path), ""]
            about = inspect.getdoc(inner) if inner is not None else None
            if inner is Row:
                about = field.description or "Name and options of a row."
            text = about.splitlines()[0] if about else ""
            text += "" if field.is_required() else " Optional."
            if inner is not None and label:
                text += f" Each row has its own options: :ref:`table-{label}`."
            lines += [text, "", f"*Read by* {READERS[path]}.", ""]
            if inner is None:
                lines += _described_field(path, field, free=free)
        elif inner is not None and label:
            values = f"a group: a row of :ref:`table-{label}` with its options"
            default = default_in_words(field)
            name = field.description or f"{path.split('.')[-1]}'s row"
            lines += _described(path, name, values, default)
        else:
            lines += _described_field(path, field, free=free)
    return "\n".join(lines)


def functions_of(entry: Any) -> list[Any]:
    """Returns the functions or the class that a row consists of."""
    if isinstance(entry, Objective):
        return [entry.critic_loss, entry.generator_loss]
    if isinstance(entry, Measure):
        return [entry.function]
    while isinstance(entry, partial):
        entry = entry.func
    return [entry]


def summary_of(entry: Any) -> str:
    """Returns the first sentence of a row's documentation."""
    if isinstance(entry, Measure):
        shown = [
            f"``{k}`` ({v} is better)" if v else f"``{k}``"
            for k, v in entry.reports.items()
        ]
        return f"Reports {', '.join(shown)}."
    texts = [inspect.getdoc(function) or "" for function in functions_of(entry)]
    return " ".join(dict.fromkeys(_first_sentence(t) for t in texts if t))


def papers_of(entry: Any) -> list[str]:
    """Returns the papers that a row's documentation names."""
    found: list[str] = []
    for function in functions_of(entry):
        text = inspect.getdoc(function) or ""
        if inspect.isclass(function):
            text += sys.modules[function.__module__].__doc__ or ""
        found += _OF_A_FILE.findall(text)
    return list(dict.fromkeys(found))


def option_texts(entry: Any) -> dict[str, str]:
    """Returns what the documentation of a row says of each option."""
    found: dict[str, str] = {}
    for function in functions_of(entry):
        text = inspect.getdoc(function) or ""
        sections = re.findall(
            r"^(?:Args|Attributes):\n((?:[ ]{4}.*\n?|\n)+)", text, re.MULTILINE
        )
        for section in sections:
            for name, about in re.findall(
                r"^ {4}(\w+):\s+((?:.*\n?)(?:^ {8}.*\n?)*)", section, re.MULTILINE
            ):
                found.setdefault(name, " ".join(about.split()))
    return found


def _is_row(path: str) -> bool:
    """Returns whether a field is a group with the options of a row."""
    return path not in _SHEETS and path != "evaluation.measures"


def options_of(path: str, entry: Any) -> dict[str, FieldInfo]:
    """Returns the options that a config can set for a row."""
    base = Row
    if _is_row(path):
        field = find_field(path)
        inner = fields.group_of(field)
        assert inner is not None
        base = inner  # type: ignore[assignment]
    else:
        return {}
    known = row_type(base, entry).model_fields
    return {k: f for k, f in known.items() if k not in base.model_fields}


def rows_as_rst() -> str:
    """Returns the description of all rows of all tables as reStructuredText."""
    lines: list[str] = []
    for label, (title, path) in TABLES.items():
        lines += ["", f".. _table-{label}:", "", title, "-" * len(title), ""]
        flag = f"--config.{path}.name" if _is_row(path) else f"--config.{path}"
        text = f"Chosen by ``{flag}=NAME``."
        if _is_row(path):
            text += f" Options are set by ``--config.{path}.OPTION=VALUE``."
        lines += [f"{text}{_ALSO.get(label, '')}", ""]
        seen: dict[Any, str] = {}
        for name, entry in rows_of(path).items():
            lines += [f"``{name}``", "~" * (len(name) + 4), ""]
            if entry in seen.values() and not isinstance(entry, nn.Module):
                first = next(k for k, v in seen.items() if v is entry)
                lines += [f"As ``{first}``, with the same options.", ""]
                continue
            seen[name] = entry
            lines += [link_papers(summary_of(entry)), ""]
            papers = papers_of(entry)
            if papers:
                lines += [f"Source: {', '.join(map(link_papers, papers))}.", ""]
            lines += options_as_rst(path, entry)
    return "\n".join(lines)


def options_as_rst(path: str, entry: Any) -> list[str]:
    """Returns the table of a row's options, as lines of reStructuredText."""
    options, texts = options_of(path, entry), option_texts(entry)
    if not options:
        return []
    if path == "dataset":  # described where all datasets are loaded
        texts = option_texts(load_source) | texts
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 20 35 45", ""]
    lines += ["   * - option", "     - values and default", "     - meaning"]
    for name, field in options.items():
        default = default_in_words(field)
        shown = default if default == "required" else f"``{default}``"
        about = link_papers(texts.get(name, "see above"))
        lines += [f"   * - ``{name}``"]
        lines += [f"     - {values_in_words(field)}; {shown}", f"     - {about}"]
    return [*lines, ""]


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())
