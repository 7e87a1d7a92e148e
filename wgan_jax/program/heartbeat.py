"""``heartbeat.json``: what a run is doing, for those that watch it."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from wgan_jax.io.files import write_text
from wgan_jax.io.json_text import parse_json

SECONDS = 10.0  # at most, between two updates of a run that makes progress
TRAINING, EVALUATION = "training", "evaluation"
DONE, INTERRUPTED, FAILED = "done", "interrupted", "failed"


class Heartbeat:
    """A file that is replaced while a run makes progress.

    It has the ``stage``, the number of completed ``iterations``, the ``time`` in
    seconds since 1970 (UTC), the ``pid``, the ``host``, the kinds of ``warnings`` so
    far, and the ``error`` of a failed run. A time that is old means that the run
    hangs or was killed, or that an iteration, the compilation or an evaluation takes
    long.
    """

    def __init__(self, path: Path) -> None:
        """Stores the path.

        Args:
            path: path of the file.
        """
        self._path = path
        self._stage, self._iterations, self._error = "", 0, ""
        self._last = -SECONDS
        self._warnings: list[str] = []

    def read(self) -> dict[str, Any]:
        """Returns what is in the file; {} without a file that can be read."""
        try:
            found = parse_json(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def is_done(self) -> bool:
        """Returns whether the file says that the run has reached its end."""
        return self.read().get("stage") == DONE

    def mark_done(self, iterations: int) -> None:
        """Marks a run of an earlier process as done, with the warnings of that.

        Args:
            iterations: number of completed iterations.
        """
        self.warned(self.read().get("warnings", []))
        self.beat(DONE, iterations)

    def warned(self, kinds: list[str]) -> None:
        """Stores the kinds of warnings so far, for the next updates.

        Args:
            kinds: names of ``watching.WARNINGS``.
        """
        self._warnings = list(kinds)

    def beat(self, stage: str, iterations: int) -> None:
        """Updates the file if the stage is new or the last update is old.

        Args:
            stage: one of the stages above.
            iterations: number of completed iterations.
        """
        now = time.monotonic()
        is_old = now - self._last >= SECONDS
        self._iterations = iterations
        if stage != self._stage or is_old:
            self._stage, self._last = stage, now
            self._write()

    def fail(self, error: BaseException) -> None:
        """Stores why the run fails, for ``end``.

        Args:
            error: what ended the run.
        """
        lines = str(error).splitlines() or [""]
        self._error = lines[0] or type(error).__name__

    def end(self) -> None:
        """Marks a run as failed, unless it has ended otherwise."""
        if self._stage not in (DONE, INTERRUPTED):
            self._stage = FAILED
            self._write()

    def _write(self) -> None:
        record = {
            "stage": self._stage,
            "iterations": self._iterations,
            "time": round(time.time(), 3),
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "warnings": self._warnings,
        }
        if self._stage == FAILED and self._error:
            record["error"] = self._error
        write_text(self._path, json.dumps(record) + "\n")
