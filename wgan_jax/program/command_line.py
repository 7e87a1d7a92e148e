"""What the user typed, made into a config, or into a sentence about a mistake."""

import inspect
import json
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_collections
from absl import flags

from wgan_jax.config.schema import FIELDS, differences
from wgan_jax.errors import ConfigError, choices


def parse(
    values: flags.FlagValues, argv: list[str]
) -> tuple[ml_collections.ConfigDict, Path]:
    """Parses the command line, with overrides applied to the config.

    Args:
        values: absl's flags; ``config`` is an ml_collections config file.
        argv: the command line, program name first.

    Returns:
        The config, and the path of its file.

    Raises:
        ConfigError: for an unknown flag or field, a value of the wrong type, or
            a config file that is missing or cannot be read.
    """
    parse_flags(values, argv)
    return parsed_config(values, argv)


def parsed_config(
    values: flags.FlagValues, argv: list[str]
) -> tuple[ml_collections.ConfigDict, Path]:
    """The config of a command line that ``parse_flags`` has parsed.

    Args:
        values: absl's flags.
        argv: the command line.

    Returns:
        The config, and the path of its file.

    Raises:
        ConfigError: for a config file that is missing.
    """
    if values.config is None:
        known = sorted(str(path) for path in Path("configs").glob("*_*.py"))
        raise ConfigError(f"--config=FILE is missing; {choices(known)}.")
    path = Path(_config_file(argv))
    if not path.is_file():
        known = sorted(str(p) for p in path.parent.glob("*_*.py"))
        raise ConfigError(f"--config={path} does not exist; {choices(known)}.")
    return values.config, path


def parse_flags(values: flags.FlagValues, argv: list[str]) -> None:
    """Parses the command line of a mode that may do without a config.

    Args:
        values: absl's flags.
        argv: the command line, program name first.

    Raises:
        ConfigError: for an unknown flag or field, a value of the wrong type, or
            a config file that cannot be read.
    """
    try:
        rest = values(argv)[1:]
    except flags.Error as error:
        raise ConfigError(f"{error}.") from error
    except (AttributeError, KeyError) as error:
        raise ConfigError(_unknown_field(argv)) from error
    except SyntaxError as error:
        raise ConfigError(f"the config file cannot be read: {error}.") from error
    if rest:
        raise ConfigError(f"{rest[0]!r} is no flag; flags are written --name=value.")


def lineage(path: Path, config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Where a config comes from: its file, and the file that this one changes.

    Args:
        path: of the config file.
        config: what became of it on the command line.

    Returns:
        JSON values: ``overrides``, the fields changed on the command line, and
        ``parent``, None or the ``name`` of the config that the file starts from
        and the ``differences`` of the experiment from it.
    """
    names = runpy.run_path(str(path))
    mine = _plain(config)
    overrides = differences(_plain(names["get_config"]()), mine, free=True)
    parents = [
        value
        for value in names.values()
        if inspect.ismodule(value) and hasattr(value, "get_config")
    ]
    parent = None
    if parents:
        name = parents[0].__name__.split(".")[-1]
        changes = differences(_plain(parents[0].get_config()), mine, free=True)
        parent = {"name": name, "differences": changes}
    return {"overrides": overrides, "parent": parent}


def _plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    return json.loads(config.to_json())


def _config_file(argv: list[str]) -> str:
    text = "\n".join(argv)
    found = re.findall(r"^--?config[=\n](.*)$", text, re.MULTILINE)
    return found[-1] if found else ""


def _unknown_field(argv: list[str]) -> str:
    """Finds the override that the config has no place for."""
    config: Any = runpy.run_path(_config_file(argv))["get_config"]()
    for override in argv:
        match = re.match(r"^--?config\.([^=]+)", override)
        if not match:
            continue
        level, passed = config, "config"
        for name in match[1].split("."):
            if not isinstance(level, Mapping | ml_collections.ConfigDict):
                return f"{passed} has no fields, so {override!r} says nothing."
            if name not in level:
                if passed == "config" and name in FIELDS:
                    return (
                        f"config.{name} is not set in this file, so it cannot be "
                        "changed here; set it in a config that imports this one."
                    )
                return f"{passed}.{name} is not a known field; {choices(level)}."
            level, passed = level[name], f"{passed}.{name}"
    return "a field given on the command line is not in the config."
