"""Writes of a run that fail because of the disk: the run stops, or continues."""

import os
import threading
from collections.abc import Callable
from typing import TypeVar

from wgan_jax.errors import DiskError
from wgan_jax.io.disks import disk_failure, disk_remedy
from wgan_jax.program.console import Log

T = TypeVar("T")

# Set after a failed write. Threads of Orbax may then wait forever for a part of it.
FAILED = threading.Event()


class DiskWrites:
    """Attempts the writes of a run.

    Attributes:
        tolerant: whether the run continues after a failed write.
        reason: what the operating system said of the last failure; empty before.
    """

    def __init__(self, *, tolerant: bool, warn: Log) -> None:
        """Stores the arguments.

        Args:
            tolerant: warn of a failed write, once for each kind of failure,
                instead of raising.
            warn: function that prints one line.
        """
        self.tolerant, self.reason = tolerant, ""
        self._warn = warn
        self._known: set[int] = set()
        self._raised = False

    def attempt(self, what: str, write: Callable[[], T]) -> T | None:
        """Calls a function that writes.

        Args:
            what: what it writes and where, for the messages.
            write: the function.

        Returns:
            Its result; None if it failed because of the disk and the run
            continues.

        Raises:
            DiskError: if it failed because of the disk and the run stops. Once it
                has been raised, further failures are ignored, so that the first
                one is reported.
        """
        try:
            return write()
        except (OSError, DiskError) as error:
            code = disk_failure(error)
            if code is None:
                raise
            FAILED.set()
            if self._raised:
                return None
            self.reason = os.strerror(code)
            message = f"{what} could not be written: {self.reason}."
            if not self.tolerant:
                self._raised = True
                raise DiskError(
                    f"{message} Earlier checkpoints are intact. {disk_remedy(code)}, "
                    "and the same command resumes from the last one.",
                    code=code,
                ) from error
            if code not in self._known:
                self._known.add(code)
                self._warn(
                    f"{message} Training continues, as config.checkpoint.on_failure "
                    f"says; the next write is attempted again. {disk_remedy(code)} "
                    "before the run ends."
                )
            return None
