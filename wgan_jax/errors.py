"""Errors that a user can act on, and how a message lists the alternatives.

The command-line program prints the message of any of these and exits with status 2
unless the class says otherwise.
"""

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
