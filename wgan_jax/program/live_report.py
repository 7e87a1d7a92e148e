"""The report of a run that is in training."""

import contextlib
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from wgan_jax.errors import USER_ERRORS, CheckpointError, DiskError
from wgan_jax.parallel import multiprocess
from wgan_jax.program.console import Log, warn
from wgan_jax.program.workdir import Workdir
from wgan_jax.report import write_report

_FIRST_SECONDS = 30.0  # until the first update
_SHARE = 0.02  # largest share of the time that updates may take
_FOR_USERS = (*USER_ERRORS, CheckpointError)


class LiveReport:
    """Rewrites ``report.html`` at intervals, in a background thread.

    If an update fails, a warning is logged once, and training continues.
    """

    def __init__(self, workdir: Workdir, *, minutes: float, log: Log) -> None:
        """Creates the writer; the thread starts with the first update.

        Args:
            workdir: folder of the run.
            minutes: minutes between two updates; 0 for no updates.
            log: function that prints one line.
        """
        self._workdir, self._log = workdir, log
        self._seconds = 60 * minutes
        first = min(self._seconds, _FIRST_SECONDS) if minutes else math.inf
        self._next = time.monotonic() + first
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="report")
        self._pending: Future[None] | None = None
        self._warned = False

    def update(self) -> None:
        """Starts an update if it is due and none is in progress."""
        if time.monotonic() < self._next:
            return
        if self._pending is None or self._pending.done():
            self._next = math.inf  # set again at the end of the update
            self._pending = self._thread.submit(self._write)

    def close(self) -> None:
        """Waits for an update in progress and ends the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _write(self) -> None:
        began = time.monotonic()
        try:
            if _has_metrics(self._workdir):
                write_report([self._workdir.path], self._workdir.report)
        except Exception as error:  # training must go on
            if not self._warned:
                self._log(f"report.html was not updated: {in_a_line(error)}")
            self._warned = True
        now = time.monotonic()
        self._next = now + max(self._seconds, (now - began) / _SHARE)


class LastReport:
    """The report at the end of a run.

    Attributes:
        written: False if the disk did not take it.
    """

    written = True


@contextlib.contextmanager
def reported(workdir: Workdir, *, log: Log) -> Iterator[LastReport]:
    """Writes the report when its block ends, whether it returns or raises.

    After a second Ctrl-C, it does not, because the user waits. Where the disk has
    made the run stop, a report that cannot be written is no further news.

    Args:
        workdir: folder of the run.
        log: function that prints one line.
    """
    last = LastReport()
    try:
        yield last
    except DiskError:
        write_last_report(workdir, log=lambda line: None)
        raise
    except Exception:
        write_last_report(workdir, log=log)
        raise
    last.written = write_last_report(workdir, log=log)


def write_last_report(workdir: Workdir, *, log: Log) -> bool:
    """Writes the report of a run that has ended, on the primary process.

    If this fails, a warning is logged.

    Args:
        workdir: folder of the run.
        log: function that prints one line.

    Returns:
        False if the disk did not take it.
    """
    if not multiprocess.is_primary():
        return True
    try:
        if _has_metrics(workdir):
            write_report([workdir.path], workdir.report)
    except OSError as error:
        warn(log, f"{workdir.report} could not be written: {error.strerror}.")
        return False
    except Exception as error:  # the run itself has ended as it should
        warn(log, f"No report was written: {in_a_line(error)}")
    return True


def _has_metrics(workdir: Workdir) -> bool:
    return workdir.metrics.exists() and workdir.metrics.stat().st_size > 0


def in_a_line(error: Exception) -> str:
    """Returns the message of an error on one line.

    Args:
        error: the error. Unless its message is for users, its type is named, too.
    """
    line = " ".join(str(error).split())
    return line if isinstance(error, _FOR_USERS) else f"{type(error).__name__}: {line}"
