"""Exceptions for problems that the user can fix.

The command-line program prints the message of these exceptions and exits with
status 2, unless the class says otherwise.
"""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A mistake in a config or on the command line."""


class DataError(ValueError):
    """A dataset is missing and cannot be downloaded, or cannot be read.

    The message names the dataset, the location searched, and what to do.
    """

    def __init__(self, *lines: str) -> None:
        """Stores the lines of the message; unprintable characters are escaped."""
        super().__init__("\n".join(map(printable, lines)))


class ArchiveError(ValueError):
    """A file is damaged or is not an archive of arrays."""


class WorkdirError(Exception):
    """The work directory contains something other than this run."""


class CheckpointError(Exception):
    """A checkpoint cannot be written, does not exist, or does not match."""


class DiskError(CheckpointError):
    """A file of a run cannot be written: the disk is full, read-only or gone.

    Attributes:
        code: ``errno`` of the operating system.
    """

    def __init__(self, message: str, *, code: int) -> None:
        """Stores the message and the number."""
        super().__init__(message)
        self.code = code


class ReportError(Exception):
    """There are no results to report."""


class ExportError(Exception):
    """A network cannot be written in a format, or a package for it is missing."""


class MissingCompilerError(ConfigError):
    """The compiler for a planning target is not installed."""


# Errors that a user can correct. Their messages say how.
USER_ERRORS = (ConfigError, DataError, ExportError, WorkdirError, ReportError)


class Diverged(Exception):
    """Training stopped because a metric is no longer finite.

    The program exits with status 1, because the run failed and not the command.
    """


def printable(text: str) -> str:
    """Returns a text on one line, with escapes for what cannot be printed.

    Names of files may have newlines, and bytes that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def choices(names: Iterable[str]) -> str:
    """Returns a sorted list of names, to end an error message."""
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
