"""What the program prints, and how much of it: ``--quiet`` and ``--verbose``.

Progress and results go to stdout, warnings and errors to stderr. Functions of the
program take any function of one line as their ``log``; a ``Console`` also tells
lines of progress from warnings and results.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from os import PathLike
from typing import Any

import jax

from wgan_jax.parallel import multiprocess

NORMAL, QUIET, VERBOSE = "normal", "quiet", "verbose"
# Orbax logs a failed write with several tracebacks, and then raises it.
_LIBRARIES = ("absl", "orbax", "asyncio")
Log = Callable[[str], None]


class Console:
    """Prints the lines of the program, on the primary process only.

    Attributes:
        level: ``normal``, ``quiet`` or ``verbose``.
    """

    def __init__(self, level: str = NORMAL) -> None:
        """Stores the level."""
        self.level = level

    def __call__(self, line: str) -> None:
        """Prints a line of progress, unless the level is quiet."""
        if self.level != QUIET:
            self.result(line)

    def result(self, line: str) -> None:
        """Prints a line on stdout at every level."""
        if multiprocess.is_primary():
            print(line, flush=True)

    def warn(self, line: str) -> None:
        """Prints a line on stderr at every level."""
        if multiprocess.is_primary():
            print(line, file=sys.stderr, flush=True)


def is_quiet(log: Log) -> bool:
    """Returns whether a log prints warnings and results only."""
    return isinstance(log, Console) and log.level == QUIET


def warn(log: Log, line: str) -> None:
    """Prints a line at every level, on stderr if the log is a ``Console``."""
    (log.warn if isinstance(log, Console) else log)(line)


def warner(log: Log) -> Log:
    """Returns the function that prints the warnings of a log."""
    return log.warn if isinstance(log, Console) else log


def finish(log: Log, line: str, *paths: str | PathLike[str]) -> None:
    """Says what was written: a line, or in a quiet program the paths alone.

    Args:
        log: function that prints one line.
        line: the line.
        *paths: files or folders that were written.
    """
    if isinstance(log, Console) and log.level == QUIET:
        for path in paths:
            log.result(str(path))
    else:
        log(line)


@contextmanager
def library_logs(level: str) -> Iterator[None]:
    """Sets what other libraries log during a block.

    Args:
        level: level of the ``Console``. If verbose, everything from INFO, and the
            compile times of JAX; otherwise only warnings of JAX.
    """
    with ExitStack() as stack:
        if level == VERBOSE:
            stack.enter_context(jax.log_compiles())
            stack.enter_context(_handler())
        wanted = logging.INFO if level == VERBOSE else logging.CRITICAL + 1
        for name in _LIBRARIES:
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(wanted)
        if level != VERBOSE:
            stack.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
            sys.unraisablehook = partial(_without_closed_loops, sys.unraisablehook)
        yield


def _without_closed_loops(hook: Callable[[Any], object], unraisable: Any) -> None:
    """Prints an error of a callback, unless TensorStore's after a failed write."""
    if str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)


@contextmanager
def _handler() -> Iterator[None]:
    """Prints the records of all loggers on stderr during a block."""
    root, handler = logging.getLogger(), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
