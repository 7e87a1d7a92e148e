"""The library's tables, what tests derive from a row, and what a row is missing."""

import ast
import inspect
import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np

from wgan_jax.augmentation import AUGMENTATIONS
from wgan_jax.data import DATASETS
from wgan_jax.evaluation import EXTRACTORS, MEASURES
from wgan_jax.losses import CONSTRAINTS, OBJECTIVES, PENALTIES, REGULARIZERS
from wgan_jax.networks import CRITICS, GENERATORS, PARAMETRIZATIONS
from wgan_jax.optimizers import OPTIMIZERS
from wgan_jax.ranges import allowed, bounds, inside
from wgan_jax.schedules import LEARNING_RATE_SCHEDULES

TABLES = {
    "OBJECTIVES": OBJECTIVES,
    "PENALTIES": PENALTIES,
    "CONSTRAINTS": CONSTRAINTS,
    "REGULARIZERS": REGULARIZERS,
    "AUGMENTATIONS": AUGMENTATIONS,
    "GENERATORS": GENERATORS,
    "CRITICS": CRITICS,
    "PARAMETRIZATIONS": PARAMETRIZATIONS,
    "OPTIMIZERS": OPTIMIZERS,
    "LEARNING_RATE_SCHEDULES": LEARNING_RATE_SCHEDULES,
    "DATASETS": DATASETS,
    "MEASURES": MEASURES,
    "EXTRACTORS": EXTRACTORS,
}
LARGEST, SMALL = 8, 4  # an int field above the first becomes the second


def positional(function):
    """Returns the names of the arguments that are not options."""
    return [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind is not p.KEYWORD_ONLY
    ]


def parameters(function):
    """Returns the options of a function, as ``inspect`` describes them."""
    found = inspect.signature(function).parameters
    return {name: p for name, p in found.items() if p.kind is p.KEYWORD_ONLY}


def options(function):
    """Returns the defaults of the options, ``inspect.Parameter.empty`` without one."""
    return {name: p.default for name, p in parameters(function).items()}


def kinds(annotation):
    """Returns the types in an annotation, including those inside ``X | None``."""
    inner = get_args(annotation)
    return {annotation} if not inner else {k for part in inner for k in kinds(part)}


def some_value(annotation):
    """Returns a value in the range of an option."""
    listed, found = allowed(annotation), bounds(annotation)
    numbers = range(1, 100) if int in kinds(annotation) else (0.5, *range(1, 100))
    return listed[0] if listed else next(v for v in numbers if inside(v, found))


def with_required(function):
    """Returns the function with a value bound to each option without default."""
    needed = {
        name: some_value(p.annotation)
        for name, p in parameters(function).items()
        if p.default is p.empty
    }
    return partial(function, **needed) if needed else function


def fields(module):
    """Returns the names and defaults of a Flax module's own fields."""
    found = inspect.signature(module).parameters.values()
    return {p.name: p.default for p in found if p.name not in ("parent", "name")}


def small_fields(module, size=SMALL):
    """Returns fields that make a network small; classes stay at 0."""
    return {
        name: size
        for name, default in fields(module).items()
        if type(default) is int and default > LARGEST
    }


ROOT = Path(__file__).parents[1]
PAGES = ("docs/methods.md", "docs/how-to/experiments.md", "docs/metrics.md")
REFERENCE = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|https?://|docs/\w+\.md")
# Table: arguments before the options of a row's functions; see ``functions_of``.
POSITIONAL = {
    "OBJECTIVES": 2,
    "PENALTIES": 4,
    "CONSTRAINTS": 1,
    "REGULARIZERS": 0,
    "AUGMENTATIONS": 2,
    "PARAMETRIZATIONS": 2,
    "OPTIMIZERS": 0,
    "LEARNING_RATE_SCHEDULES": 1,
    "DATASETS": 1,
    "MEASURES": 1,
    "EXTRACTORS": 1,
}
FROM_PAPERS = ("OBJECTIVES", "PENALTIES", "CONSTRAINTS", "REGULARIZERS")
FROM_PAPERS += ("AUGMENTATIONS", "GENERATORS", "CRITICS", "PARAMETRIZATIONS")
NO_PAPER = {"PARAMETRIZATIONS": ("plain",)}
# Options that a config's group has by itself, or that it must give.
GIVEN = {
    "DATASETS": ("split", "data_dir", "seed"),
    "CONSTRAINTS": ("bound",),
    "OPTIMIZERS": ("learning_rate",),
    "LEARNING_RATE_SCHEDULES": ("iterations", "final"),
    "PARAMETRIZATIONS": ("axis",),
}
GOLDEN = ("OBJECTIVES", "PENALTIES", "CONSTRAINTS", "REGULARIZERS")


def functions_of(table, row):
    """Returns the functions of a row, each with its number of positional arguments."""
    count = POSITIONAL.get(table)
    if table == "OBJECTIVES":
        of_generator = 2 if row.paired else 1
        return [(row.critic_loss, count), (row.generator_loss, of_generator)]
    if table == "MEASURES":
        return [(row.function, count)]
    return [(row, count)]


def documented():
    """Returns all text between backticks on the pages that list rows."""
    text = "\n".join((ROOT / page).read_text() for page in PAGES)
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S)))


def golden_files(table, name):
    """Returns the golden file of a row and the script that makes it."""
    folder = ROOT / "tests/losses/golden" / table.lower()
    return [folder / f"{name}.npz", folder / f"{name}.py"]


def missing(table, name, row):
    """Yields what a row is missing, one sentence each."""
    where = f"{table}[{name!r}]"
    for function, count in functions_of(table, row):
        for lack in missing_in_function(table, function, count):
            yield f"{where}: {lack}"
    text = " ".join(docstring(function) for function, _ in functions_of(table, row))
    exempt = name in NO_PAPER.get(table, ())
    if table in FROM_PAPERS and not exempt and not REFERENCE.search(text):
        yield (
            f"{where}: the docstring names no source; it needs a section Reference "
            "with the paper (arXiv:NUMBER, doi:10.NUMBER or a link)."
        )
    for path in golden_files(table, name) if table in GOLDEN else ():
        if not path.exists():
            yield f"{where}: there is no {path.relative_to(ROOT)} of its values."
        elif path.suffix == ".npz":
            yield from (f"{where}: {lack}" for lack in missing_cases(path, table, row))
    if name not in documented():
        yield f"{where}: `{name}` is in none of {', '.join(PAGES)}."
    if table == "MEASURES" and not row.reports:
        yield f"{where}: it reports no number; reports holds at least one name."


def missing_cases(path, table, row):
    """Yields the options of a row that no case of its golden file sets."""
    with np.load(path) as golden:
        names = [name for name in golden.files if name.endswith("/options")]
        cases = [json.loads(str(golden[name])) for name in names]
    for function, _ in functions_of(table, row):
        for option, default in options(function).items():
            if all(case.get(option, default) == default for case in cases):
                yield (
                    f"no case of {path.relative_to(ROOT)} sets {option!r} to another "
                    "value than its default."
                )


def docstring(function):
    """Returns the docstring of a function, or of a class and its module."""
    while isinstance(function, partial):
        function = function.func
    text = inspect.getdoc(function) or ""
    if inspect.isclass(function) and text:
        text += " " + (sys.modules[function.__module__].__doc__ or "")
    return text


def missing_in_function(table, function, count):
    """Yields what a function of a row is missing."""
    label = getattr(function, "__name__", type(function).__name__)
    if count is None:
        yield from missing_in_network(table, function)
        return
    text = docstring(function)
    if not text and table not in ("MEASURES", "DATASETS"):
        yield f"{label} has no docstring."
    if len(positional(function)) != count:
        yield (
            f"{label} has the arguments {', '.join(positional(function)) or 'none'}; "
            f"{count} come before '*', and all that is set by a config after it."
        )
    for option, default in options(function).items():
        given = option in GIVEN.get(table, ())
        if default is inspect.Parameter.empty and not given:
            yield f"{label}: the option {option!r} has no default."
        described = "Args:" in text or table != "DATASETS"
        pattern = rf"^\s+{option}:( |$)" if described else rf"``{option}``"
        if text and not given and not re.search(pattern, text, re.M):
            yield f"{label}: the docstring does not describe {option!r}."


def missing_in_network(table, module):
    """Yields what a generator or a critic is missing."""
    text = docstring(module)
    if not inspect.getdoc(module) or "Attributes:" not in text:
        yield "the docstring has no Attributes."
    own = fields(module)
    for name, default in own.items():
        if default is inspect.Parameter.empty:
            yield f"the field {name!r} has no default."
        if not re.search(rf"^\s+{name}:( |$)", text, re.M):
            yield f"the docstring does not describe {name!r}."
    if table == "GENERATORS" and "image_shape" not in own:
        yield "it has no field image_shape, which a config sets."
    if "train" not in options(module.__call__):
        yield "__call__ has no keyword-only argument 'train'."


def missing_in_config(path):
    """Yields what a config file is missing, one sentence each."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    for word in ("Paper:", "Command:", "Cost:", "Expect:"):
        if word not in text:
            yield f"configs/{path.name}: the docstring has no {word[:-1]}."
    command = f"python launch.py --config=configs/{path.name}"
    if command not in text:
        yield f"configs/{path.name}: the docstring's command is not {command!r}."
    if path.stem not in documented():
        yield f"configs/{path.name}: `{path.stem}` is in none of {', '.join(PAGES)}."


def all_missing():
    """Returns what all rows of all tables and all configs are missing."""
    rows = [(t, n, row) for t, table in TABLES.items() for n, row in table.items()]
    found = [sentence for row in rows for sentence in missing(*row)]
    configs = sorted((ROOT / "configs").glob("*_*.py"))
    return found + [
        sentence for path in configs for sentence in missing_in_config(path)
    ]
