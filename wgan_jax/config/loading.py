"""Loads config files and applies command-line overrides.

A config file is a Python file with a function ``get_config`` that returns a
ConfigDict. It can extend another config with ``from configs import parent``, which
finds files in its own folder and configs shipped with the package. A function with a
parameter is called with the text after a colon, as in ``mine.py:small``.
"""

import contextlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import ml_collections

from wgan_jax.config.differences import differences, plain
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.config.problems import Problems
from wgan_jax.config.resolve import Reader
from wgan_jax.errors import ConfigError, choices, similar
from wgan_jax.io.json_text import parse_json

_PACKAGE = "configs"


class ConfigFile(NamedTuple):
    """Where a config comes from.

    Attributes:
        path: a Python file with ``get_config``, or the ``config.json`` of a run.
        argument: text that ``get_config`` is called with; None for no argument.
    """

    path: Path
    argument: str | None = None

    def __str__(self) -> str:
        """Returns the file and the argument as they are typed after ``--config=``."""
        return str(self.path) + ("" if self.argument is None else f":{self.argument}")

    @property
    def title(self) -> str:
        """Name for the folder of a run."""
        if self.argument is None:
            return self.path.stem
        return f"{self.path.stem}_{re.sub(r'[^A-Za-z0-9_.-]', '_', self.argument)}"


def config_folder() -> Path:
    """Returns the folder of the configs shipped with the package."""
    installed = Path(__file__).parents[1] / _PACKAGE
    return installed if installed.is_dir() else Path(__file__).parents[2] / _PACKAGE


def shipped_configs() -> dict[str, Path]:
    """Returns the files of the configs shipped with the package, by name."""
    files = sorted(config_folder().glob("*.py"))
    return {p.stem: p for p in files if not p.stem.startswith("_")}


def find_config(name: str) -> ConfigFile:
    """Returns the file of a config.

    Args:
        name: a path; or ``NAME``, ``configs/NAME`` or ``configs/NAME.py`` of a config
            shipped with the package. The argument of its ``get_config`` may follow
            after a colon.

    Raises:
        ConfigError: if there is no such file. The message suggests a similar
            name.
    """
    whole = _file(name)
    if whole is not None:  # its name may have a colon
        return ConfigFile(whole)
    for colon in re.finditer(":", name):  # a folder, and the argument, may have some
        path = _file(name[: colon.start()])
        if path is not None:
            return ConfigFile(path, name[colon.end() :])
    if (Path(os.path.expanduser(name)) / "config.json").is_file():
        raise ConfigError(
            f"--config={name} is the folder of a run; use "
            f"--config={os.path.join(name, 'config.json')} for its config, or "
            f"--workdir={name} for the run."
        )
    known, stem = shipped_configs(), Path(name.partition(":")[0]).stem
    raise ConfigError(
        f"--config={name} does not exist;{similar(stem, known)} {choices(known)}."
    )


def load_config(file: ConfigFile | Path) -> ml_collections.ConfigDict:
    """Returns the config that a file describes.

    Args:
        file: what ``find_config`` returns, or a path.

    Raises:
        ConfigError: if the file cannot be run or read, or its function does not
            take the argument. The message names the line.
    """
    file = _as_file(file)
    if file.path.suffix == ".json":
        return _config_in(file)
    return _config_of(_run(file.path), file)


def lineage(
    file: ConfigFile | Path, config: ml_collections.ConfigDict
) -> dict[str, Any]:
    """Returns the origin of a config as JSON values.

    Args:
        file: as for ``load_config``.
        config: the config after overrides.

    Returns:
        ``overrides``, the fields that differ from the file; ``parent``, which is
        None or has the ``name`` of the config that the file extends and the
        ``differences`` between the two; and ``config_argument``, the argument of
        the file, if there is one. A parent that needs an argument has no
        differences, because its argument is unknown, and is None.
    """
    mine, file = plain(config), _as_file(file)

    def changes_from(other: ml_collections.ConfigDict) -> list[str]:
        return differences(plain(other), mine, free=True)

    if file.path.suffix == ".json":
        return {"overrides": changes_from(_config_in(file)), "parent": None}
    module = _run(file.path)
    found: dict[str, Any] = {"overrides": changes_from(_config_of(module, file))}
    found["parent"] = None
    for parent in _parents(module)[:1]:
        if not _takes(parent.get_config):
            continue
        name = parent.__name__.split(".")[-1]
        changes = changes_from(parent.get_config())
        found["parent"] = {"name": name, "differences": changes}
    if file.argument is not None:
        found["config_argument"] = file.argument
    return found


def load_experiment(
    file: ConfigFile | Path,
    overrides: Sequence[tuple[str, str]] = (),
    *,
    check: Callable[[ExperimentConfig, Problems], None] | None = None,
) -> tuple[ExperimentConfig, ml_collections.ConfigDict]:
    """Loads a config file, applies overrides, and validates the result.

    Args:
        file: as for ``load_config``.
        overrides: as for ``apply_overrides``.
        check: function that looks for further mistakes, called only if the
            config is invalid.

    Returns:
        The experiment, and the config it was made from.

    Raises:
        ConfigError: if the config is invalid, with a line for each mistake.
    """
    config, reader = load_config(file), Reader()
    reader.attempt(apply_overrides, config, overrides)
    experiment = reader.read(config)
    if reader.messages and check is not None:
        check(experiment, reader)
    reader.raise_all()
    return experiment, config


def field_comments(file: ConfigFile | Path) -> dict[str, str]:
    """Returns the comments on the fields of a config and its parents, by name.

    Args:
        file: a Python config file.
    """
    path = _as_file(file).path
    found: dict[str, str] = {}
    module = _run(path)
    for parent in _parents(module):
        found |= field_comments(Path(str(parent.__file__)))
    for line in path.read_text().splitlines():
        match = re.match(r"\s+config\.([\w.\[\]\"']+) = .*?#\s*(.*)$", line)
        if match:
            # ``config.optimizer[player]`` sets a field of both networks.
            for player in ("generator", "critic"):
                found[re.sub(r"\[player\]", f".{player}", match[1])] = match[2]
    return found


def _as_file(file: ConfigFile | Path) -> ConfigFile:
    return file if isinstance(file, ConfigFile) else ConfigFile(file)


def _file(name: str) -> Path | None:
    """Returns the file that a path or the name of a shipped config stands for."""
    path, known = Path(os.path.expanduser(name)), shipped_configs()
    if path.is_file():
        return path
    # Other paths that end alike are of other files, which may be missing.
    in_package = path.parent == Path(_PACKAGE) and path.suffix in ("", ".py")
    return known.get(path.stem if in_package else name)


def _run(path: Path) -> ModuleType:
    """Returns the module of a config file after running it."""
    with _siblings(path.absolute().parent):
        spec = importlib.util.spec_from_file_location(f"{_PACKAGE}.{path.stem}", path)
        if spec is None or spec.loader is None:
            raise ConfigError(f"--config={path} is not a .py or .json file.")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except SyntaxError as error:
            raise ConfigError(f"{path}, line {error.lineno}: {error.msg}.") from error
        except Exception as error:
            raise ConfigError(_failure(path, error)) from error
    return module


def _config_of(module: ModuleType, file: ConfigFile) -> ml_collections.ConfigDict:
    path = file.path
    if not callable(getattr(module, "get_config", None)):
        raise ConfigError(f"{path} has no function get_config().")
    arguments = () if file.argument is None else (file.argument,)
    _check_call(module.get_config, file, *arguments)
    try:
        config = module.get_config(*arguments)
    except Exception as error:
        raise ConfigError(_failure(path, error)) from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise ConfigError(
            f"get_config() of {path} must return an ml_collections.ConfigDict, not "
            f"{type(config).__name__}."
        )
    return config


def _takes(function: Callable[..., Any], *arguments: str) -> bool:
    """Returns whether a function can be called with some arguments."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # a type of Python's own has none, and the call will tell
        return True
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _check_call(
    function: Callable[..., Any], file: ConfigFile, *arguments: str
) -> None:
    """Raises ConfigError unless ``get_config`` takes exactly the given arguments."""
    path = file.path
    if _takes(function, *arguments):
        return
    if not _takes(function) and not _takes(function, ""):
        raise ConfigError(
            f"get_config() of {path} must take no argument, or one by position."
        )
    if arguments:
        raise ConfigError(
            f"--config={file} has an argument, but get_config() of {path} has no "
            f"parameter; use --config={path}."
        )
    raise ConfigError(
        f"get_config() of {path} needs an argument; use --config={path}:ARGUMENT."
    )


def _failure(path: Path, error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename) == path.absolute()]
    lines += [f.lineno for f in frames if Path(f.filename) == path]
    where = f"{path}, line {lines[-1]}" if lines else str(path)
    return f"{where}: {type(error).__name__}: {error}"


def _parents(module: ModuleType) -> list[ModuleType]:
    """Returns the configs that a config file imports."""
    return [
        value
        for value in vars(module).values()
        if inspect.ismodule(value) and hasattr(value, "get_config")
    ]


@contextlib.contextmanager
def _siblings(folder: Path) -> Iterator[None]:
    """Makes ``from configs import ...`` search a folder, then the shipped configs."""

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


def _config_in(file: ConfigFile) -> ml_collections.ConfigDict:
    """Returns the config stored in the ``config.json`` of a run."""
    path = file.path
    if file.argument is not None:
        raise ConfigError(
            f"--config={file} has an argument, but {path} is not a .py file; use "
            f"--config={path}."
        )
    try:
        record = parse_json(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
        raise ConfigError(f"{path} is not the config.json of a run.")
    return ml_collections.ConfigDict(_tuples(record["config"]))


def _tuples(value: Any) -> Any:
    """Replaces the lists of JSON by tuples, which configs use."""
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
