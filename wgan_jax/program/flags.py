"""Flags of the command line, and what a mode reads of them."""

import argparse
from pathlib import Path
from typing import Any, NoReturn

from wgan_jax.config.overrides import split_overrides
from wgan_jax.errors import ConfigError, choices
from wgan_jax.io.files import check_local
from wgan_jax.program.console import NORMAL, QUIET, VERBOSE
from wgan_jax.program.help import FLAGS, MODES, OTHERS, PATHS, SWITCHES


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}.")


def split_mode(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Returns the mode (None if it is not given) and the other arguments.

    Args:
        arguments: the command line without the program.

    Raises:
        ConfigError: if there is no such mode.
    """
    rest, found = list(arguments), list[str]()
    if rest and not rest[0].startswith("-"):
        found.append(rest.pop(0))
    for i, argument in reversed(list(enumerate(rest))):
        name, equals, value = argument.partition("=")
        if name == "--mode":
            if not equals and i + 1 < len(rest):
                value = rest.pop(i + 1)
            found.append(value)
            del rest[i]
    known = (*MODES, *OTHERS)
    for mode in found:
        if mode not in known:
            raise ConfigError(f"{mode or '--mode'!r} is not a mode; {choices(known)}.")
    return (found[0] if found else None), rest


def split_level(arguments: list[str]) -> tuple[str, list[str]]:
    """Returns how much the program prints, and the other arguments.

    Args:
        arguments: the command line without the program and the mode.

    Raises:
        ConfigError: if both flags are given.
    """
    levels = {f"--{level}": level for level in (QUIET, VERBOSE)}
    found = list(dict.fromkeys(levels[x] for x in arguments if x in levels))
    if len(found) > 1:
        raise ConfigError("--quiet and --verbose cannot be combined.")
    rest = [x for x in arguments if x not in levels]
    return (found[0] if found else NORMAL), rest


def parse_flags(rest: list[str]) -> tuple[argparse.Namespace, list[tuple[str, str]]]:
    """Returns the flags, and the overrides as names and texts.

    Args:
        rest: the command line without the program, the mode and the level.

    Raises:
        ConfigError: if a flag is unknown, or its value is invalid.
    """
    overrides, others = split_overrides(rest)
    parser = _Parser(add_help=False, allow_abbrev=False)
    special: dict[str, dict[str, Any]] = {
        "workdir": {"action": "append", "default": []},
        "profile": {"type": _above_0},
        "page": {"nargs": "?", "const": ""},
        "debug-nans": {"action": "store_const", "const": True},
    }
    types = dict.fromkeys(PATHS, _path)
    # A page without a value is that of the current folder.
    types |= {"config": _config, "page": _path_or_nothing}
    for name in FLAGS:
        if name != "config.FIELD" and name not in SWITCHES:
            kind: dict[str, Any] = {"type": types[name]} if name in types else {}
            parser.add_argument(f"--{name}", **kind, **special.get(name, {}))
    known, unknown = parser.parse_known_args(others)
    if unknown:
        flags = [f"--{name}" for name in FLAGS]
        raise ConfigError(f"{unknown[0]!r} is not an option; {choices(flags)}.")
    return known, overrides


def flags_of_mode(mode: str, known: argparse.Namespace) -> dict[str, Any]:
    """Returns the flags of a mode that are given, as arguments of its function.

    Args:
        mode: name of the mode.
        known: the flags.

    Raises:
        ConfigError: if a flag is given that the mode does not read.
    """
    found = {}
    for name in FLAGS:
        if name in ("config", "config.FIELD", "workdir", *SWITCHES):
            continue
        argument = name.replace("-", "_")
        value = getattr(known, argument)
        readers = [other for other, about in MODES.items() if name in about.options]
        if value is not None and mode not in readers:
            raise ConfigError(
                f"--{name} is not read by --mode={mode}; {choices(readers)}."
            )
        if value is not None:
            found[argument] = value
    return found


def _config(text: str) -> str:
    """Returns a config with the home folder in place of ``~``.

    A single slash after a colon begins an argument, as in ``mine.py:/data``.
    """
    return _path(text) if not text or "://" in text else _expanded(text)


def _path(text: str) -> str:
    """Returns a path, as ``_path_or_nothing``, which must not be empty."""
    if not text:
        raise argparse.ArgumentTypeError(
            "it is empty; give a value, or omit the option"
        )
    return _path_or_nothing(text)


def _path_or_nothing(text: str) -> str:
    """Returns a path with the home folder in place of ``~``."""
    try:
        check_local(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from error
    return _expanded(text)


def _expanded(text: str) -> str:
    """Replaces ``~``, as a shell does only at the start of an unquoted word."""
    if not text.startswith("~"):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(
            f"{text} is not valid; the home folder is unknown"
        ) from error


def _above_0(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text} is not valid; it must be a whole number at least 1"
        )
    return int(text)
