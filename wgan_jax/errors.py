"""Errors that a user can act on, and how a message lists the alternatives.

The command-line program prints the message of any of these and exits with status 2
unless the class says otherwise.
"""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A mistake in a config or on the command line."""


class DataError(ValueError):
    """A dataset is absent and cannot be fetched, or is present and cannot be read.

    The message says which dataset, where it was looked for, and what to do.
    """


class ArchiveError(ValueError):
    """A file is not an archive of arrays, or it is damaged."""


class WorkdirError(Exception):
    """A run's folder holds something other than this run."""


class CheckpointError(Exception):
    """A checkpoint cannot be written, does not exist, or does not fit."""


class ReportError(Exception):
    """There is nothing to report on."""


class MissingCompilerError(ConfigError):
    """The compiler for a planning target is not installed."""


class Diverged(Exception):
    """A metric is no longer finite, so the run has stopped.

    The program exits with status 1: the run failed, not the command.
    """


def choices(names: Iterable[str]) -> str:
    """Lists names, sorted, as the end of an error message."""
    return "choices: " + (", ".join(sorted(names)) or "none")


def similar(name: str, names: Iterable[str]) -> str:
    """Returns " did you mean X?" where one of the names is close, else nothing."""
    close = difflib.get_close_matches(name, list(names), 1, cutoff=0.7)
    return f" did you mean {close[0]}?" if close else ""


def unknown(name: object, names: Iterable[str]) -> str:
    """Returns what is wrong with an unknown name, with a similar one and all others."""
    known = list(names)
    listed = choices(filter(None, known))
    return f"{name!r} is not known;{similar(str(name), known)} {listed}."
