"""Finds and runs config files, and applies overrides from a command line.

A config file is Python with a function ``get_config`` that returns a ConfigDict. It may
start from another one by ``from configs import parent``, which finds files in its own
folder and those that the package ships.
"""

import ast
import contextlib
import importlib.util
import inspect
import json
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_collections

from wgan_jax.config.differences import differences, plain
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.problems import Problems
from wgan_jax.config.resolve import Reader, field_kind
from wgan_jax.errors import ConfigError, choices, similar

_PACKAGE = "configs"
_TRUE, _FALSE = ("true", "t", "1", "yes"), ("false", "f", "0", "no")


def config_folder() -> Path:
    """Returns the folder of the configs that come with the package."""
    installed = Path(__file__).parents[1] / _PACKAGE
    return installed if installed.is_dir() else Path(__file__).parents[2] / _PACKAGE


def shipped_configs() -> dict[str, Path]:
    """Returns the files of the configs that come with the package, by name."""
    files = sorted(config_folder().glob("*.py"))
    return {p.stem: p for p in files if not p.stem.startswith("_")}


def find_config(name: str) -> Path:
    """Returns the file of a config.

    Args:
        name: a path, or the name of a config that comes with the package.

    Raises:
        ConfigError: if there is no such file, with similar names.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = shipped_configs()
    if path.stem in known and (not path.suffix or path.parent.name == _PACKAGE):
        return known[path.stem]
    raise ConfigError(
        f"--config={name} does not exist;{similar(path.stem, known)} {choices(known)}."
    )


def load_config(path: Path) -> ml_collections.ConfigDict:
    """Returns the config that a file describes.

    Args:
        path: a Python file with ``get_config``, or the ``config.json`` of a run.

    Raises:
        ConfigError: if the file cannot be run or read, with the line.
    """
    return _config_in(path) if path.suffix == ".json" else _config_of(_run(path), path)


def lineage(path: Path, config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns where a config comes from, as JSON values.

    Args:
        path: of the config file.
        config: the config after overrides.

    Returns:
        ``overrides``, the fields that differ from the file, and ``parent``, None or
        the ``name`` of the config that the file starts from and the ``differences``
        of this experiment from it.
    """
    mine = plain(config)

    def changes_from(other: ml_collections.ConfigDict) -> list[str]:
        return differences(plain(other), mine, free=True)

    if path.suffix == ".json":
        return {"overrides": changes_from(_config_in(path)), "parent": None}
    module = _run(path)
    found: dict[str, Any] = {"overrides": changes_from(_config_of(module, path))}
    found["parent"] = None
    for parent in _parents(module)[:1]:
        name = parent.__name__.split(".")[-1]
        changes = changes_from(parent.get_config())
        found["parent"] = {"name": name, "differences": changes}
    return found


def split_overrides(
    arguments: Sequence[str],
) -> tuple[list[tuple[str, str]], list[str]]:
    """Separates overrides from the other arguments of a command line.

    Args:
        arguments: ``--config.NAME=TEXT`` or ``--config.NAME TEXT`` among others.

    Returns:
        Names and texts for ``apply_overrides``, and the other arguments.

    Raises:
        ConfigError: for an override without a value.
    """
    overrides, others = [], []
    remaining = iter(arguments)
    for argument in remaining:
        match = re.match(r"--config\.([^=]*)(=?)(.*)$", argument, re.DOTALL)
        if not match:
            others.append(argument)
            continue
        text = match[3]
        if not match[2]:
            text = next(remaining, "")
            if not text or text.startswith("--"):
                raise ConfigError(f"{argument} needs a value: {argument}=VALUE.")
        overrides.append((match[1], text))
    return overrides, others


def apply_overrides(
    config: ml_collections.ConfigDict, overrides: Sequence[tuple[str, str]]
) -> None:
    """Sets fields of a config to values given as text.

    The text is read as the type of the field, where it has one and the text fits it;
    ``resolve`` reports fields that do not exist and values that are wrong.

    Args:
        config: changed in place.
        overrides: ``(name, text)`` such as ``("training.batch_size", "128")``.

    Raises:
        ConfigError: naming every override that sets no field.
    """
    problems = []
    with config.unlocked(), config.ignore_type():
        for name, text in overrides:
            try:
                _override(config, name, text)
            except ConfigError as error:
                problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))


def load_experiment(
    path: Path,
    overrides: Sequence[tuple[str, str]] = (),
    *,
    check: Callable[[ExperimentConfig, Problems], None] | None = None,
) -> tuple[ExperimentConfig, ml_collections.ConfigDict]:
    """Loads a config file, applies overrides, and validates the result.

    Args:
        path: as for ``load_config``.
        overrides: as for ``apply_overrides``.
        check: looks for further mistakes where there are some.

    Returns:
        The experiment, and the config that it was made from.

    Raises:
        ConfigError: with a line for each mistake.
    """
    config, reader = load_config(path), Reader()
    reader.attempt(apply_overrides, config, overrides)
    experiment = reader.read(config)
    if reader.messages and check is not None:
        check(experiment, reader)
    reader.raise_all()
    return experiment, config


def field_comments(path: Path) -> dict[str, str]:
    """Returns the comments of a config's fields by name, those of its parents too.

    Args:
        path: of a Python config file.
    """
    found: dict[str, str] = {}
    module = _run(path)
    for parent in _parents(module):
        found |= field_comments(Path(str(parent.__file__)))
    for line in Path(path).read_text().splitlines():
        match = re.match(r"\s+config\.([\w.\[\]\"']+) = .*?#\s*(.*)$", line)
        if match:
            # One line sets the field of both networks.
            for player in ("generator", "critic"):
                found[re.sub(r"\[player\]", f".{player}", match[1])] = match[2]
    return found


def _override(config: ml_collections.ConfigDict, name: str, text: str) -> None:
    if name == "objective" and not isinstance(config.get("objective"), str):
        name = "objective.name"
    *path, field = name.split(".")
    if path == ["objective"] and isinstance(config.get("objective"), str):
        config.objective = ml_collections.ConfigDict({"name": config.objective})
    level, passed = config, "config"
    for group in path:
        passed = f"{passed}.{group}"
        if level.get(group) is None:
            level[group] = ml_collections.ConfigDict()
        level = level[group]
        if not isinstance(level, ml_collections.ConfigDict):
            raise ConfigError(f"{passed} has no fields, so config.{name} sets nothing.")
    if isinstance(level.get(field), ml_collections.ConfigDict):
        raise ConfigError(
            f"config.{name} is a group; set one of its fields, such as "
            f"--config.{name}.{next(iter(level[field]), 'name')}=..."
        )
    value = _value(text, field_kind(config, name))
    if field in level:
        del level[field]  # a placeholder keeps its type otherwise
    level[field] = value


def _value(text: str, kind: type | None) -> Any:
    """Reads text as a type, or as what it looks like if it does not fit."""
    lower = text.lower()
    if text == "None" or (lower == "none" and kind is not str):
        return None
    if kind is str:
        return text
    if kind is bool and lower in (*_TRUE, *_FALSE):
        return lower in _TRUE
    if kind is tuple:
        return _several(text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return _guess(text)


def _several(text: str) -> tuple[Any, ...]:
    found = _guess(text)
    if isinstance(found, tuple | list):
        return tuple(found)
    if isinstance(found, str):
        return tuple(_guess(part.strip()) for part in found.split(",") if part.strip())
    return (found,)


def _guess(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _run(path: Path) -> ModuleType:
    """The module of a config file."""
    with _siblings(path.absolute().parent):
        spec = importlib.util.spec_from_file_location(f"{_PACKAGE}.{path.stem}", path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"--config={path} is neither a .py nor a .json file.")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except SyntaxError as error:
            raise ConfigError(f"{path}, line {error.lineno}: {error.msg}.") from error
        except Exception as error:
            raise ConfigError(_failure(path, error)) from error
    return module


def _config_of(module: ModuleType, path: Path) -> ml_collections.ConfigDict:
    if not hasattr(module, "get_config"):
        raise ConfigError(f"{path} has no function get_config().")
    try:
        config = module.get_config()
    except Exception as error:
        raise ConfigError(_failure(path, error)) from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise ConfigError(
            f"get_config() of {path} must return an ml_collections.ConfigDict, not "
            f"{type(config).__name__}."
        )
    return config


def _failure(path: Path, error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename) == path.absolute()]
    lines += [f.lineno for f in frames if Path(f.filename) == path]
    where = f"{path}, line {lines[-1]}" if lines else str(path)
    return f"{where}: {type(error).__name__}: {error}"


def _parents(module: ModuleType) -> list[ModuleType]:
    """The configs that a config file imports."""
    return [
        value
        for value in vars(module).values()
        if inspect.ismodule(value) and hasattr(value, "get_config")
    ]


@contextlib.contextmanager
def _siblings(folder: Path) -> Iterator[None]:
    """Lets ``from configs import ...`` find files in a folder and shipped ones."""

    def loaded() -> Iterable[str]:
        return [n for n in sys.modules if n.split(".")[0] == _PACKAGE]

    before = {name: sys.modules.pop(name) for name in loaded()}
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(folder), str(config_folder())]
    sys.modules[_PACKAGE] = package
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in loaded():
            del sys.modules[name]
        sys.modules.update(before)


def _config_in(path: Path) -> ml_collections.ConfigDict:
    """The config that a run's ``config.json`` holds."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        raise ConfigError(f"{path} is not the config.json of a run.")
    return ml_collections.ConfigDict(_tuples(record["config"]))


def _tuples(value: Any) -> Any:
    """JSON has lists where a config has tuples."""
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
