"""Loggers of a run: JSON lines, TensorBoard and progress.

Only one process of a run may use them.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tensorboardX import SummaryWriter
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import scalar
from tqdm import tqdm

from wgan_jax.io.files import atomic_write
from wgan_jax.io.json_text import parse_json

_BAR_SECONDS, _LINE_SECONDS = 0.5, 10.0  # between two updates of Progress
_FLUSH_SECONDS = 10  # a killed run may lose this much of the TensorBoard log


class JsonLines:
    """File with one JSON object per line, ``{"step": 1200, "critic/loss": ...}``.

    Each line is passed to the operating system before ``write`` returns.
    Numbers that are not finite are written as null, because JSON cannot
    represent them.
    """

    def __init__(self, path: str | os.PathLike[str], *, mend: bool = True) -> None:
        """Opens a file for appending and removes an incomplete last line.

        Args:
            path: path of the file; missing folders are created.
            mend: remove an incomplete last line, as left by a killed run. Set
                to False if another process may be writing it; new lines then
                start after it.
        """
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+b", buffering=0)
        self._file.seek(0)
        if mend:
            self._file.truncate(self._file.read().rfind(b"\n") + 1)

    def write(self, step: int, *rows: Mapping[str, Any]) -> None:
        """Appends one line for each row, in a single write.

        Args:
            step: number of completed iterations.
            *rows: numbers (including NumPy and JAX scalars), strings, booleans,
                None, and lists and dicts of them, by name.

        Raises:
            OSError: if the lines cannot be written; the file is then unchanged.
        """
        lines = [
            json.dumps({"step": int(step), **_plain(row)}, allow_nan=False)
            for row in rows
        ]
        size = os.fstat(self._file.fileno()).st_size
        # Another process may have left an incomplete line, which would be joined.
        start = "" if self._is_complete(size) else "\n"
        left = memoryview((start + "".join(f"{x}\n" for x in lines)).encode())
        try:
            while left:  # a full disk takes a part
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(size)
            raise

    def truncate_after(self, step: int) -> int:
        """Removes lines that an uninterrupted run would not have written yet.

        The file is changed atomically, even if the program is killed.

        Args:
            step: lines with larger steps are removed, as are invalid lines.

        Returns:
            The number of removed lines.
        """
        lines = self._path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if _step_of(line) <= step]
        if len(kept) < len(lines):
            with atomic_write(self._path) as stream:
                stream.write(b"".join(kept))
            self._file.close()
            self._file = self._path.open("a+b", buffering=0)
        return len(lines) - len(kept)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _is_complete(self, size: int) -> bool:
        """Returns whether the last line of a file of that size ends."""
        if not size:
            return True
        self._file.seek(size - 1)
        return self._file.read(1) == b"\n"


class TensorBoard:
    """Writer of scalars and pictures to TensorBoard event files."""

    def __init__(
        self, directory: str | os.PathLike[str], *, purge_step: int | None = None
    ) -> None:
        """Starts a new event file.

        Args:
            directory: path; created if missing.
            purge_step: TensorBoard discards this step and later ones of older
                files in the directory.
        """
        self._writer = SummaryWriter(
            os.fspath(directory), purge_step=purge_step, flush_secs=_FLUSH_SECONDS
        )
        events = self._writer.file_writer.event_writer
        self._events = _Events(events._ev_writer)
        events._ev_writer = events._worker._record_writer = self._events

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds one point to the curve of each name.

        Args:
            step: number of completed iterations.
            values: numbers by path, such as ``critic/penalty``.

        Raises:
            OSError: if earlier points could not be written.
        """
        self._events.check()
        # One event for all values. Each event passes through a queue to the writer
        # thread, and twenty of them would delay a short iteration.
        points = [scalar(name, float(value)).value[0] for name, value in values.items()]
        self._writer.file_writer.add_summary(Summary(value=points), int(step))

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Adds a picture.

        Args:
            step: number of completed iterations.
            name: name of the series of pictures.
            image: uint8 ``[height, width, 1, 3 or 4]``.

        Raises:
            OSError: if earlier points could not be written.
        """
        self._events.check()
        self._writer.add_image(name, image, int(step), dataformats="HWC")

    def close(self) -> None:
        """Writes pending events and closes the file.

        Raises:
            OSError: if they could not be written.
        """
        self._writer.close()
        self._events.check()


class _Events:
    """Writer of events that keeps an error until the next call of ``check``.

    An error would end the thread that writes, and the next events would wait for it
    forever.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._error: OSError | None = None

    def write_event(self, event: Any) -> None:
        self._attempt(self._writer.write_event, event)

    def flush(self) -> None:
        self._attempt(self._writer.flush)

    def close(self) -> None:
        self._attempt(self._writer.close)

    def check(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _attempt(self, write: Callable[..., object], *arguments: Any) -> None:
        try:
            write(*arguments)
        except OSError as error:
            self._error = error


class Progress:
    """Progress and speed of a run: a bar on a terminal, otherwise plain lines.

    If the output is not a terminal (a log file, a cluster's console), a line is
    printed at most every ten seconds, and one at the end. Images per second are
    the real images in all critic updates, over all devices.
    """

    def __init__(
        self,
        total: int,
        start: int,
        *,
        stream: TextIO | None = None,
        quiet: bool = False,
    ) -> None:
        """Starts the clock.

        Args:
            total: number of iterations at the end of the run.
            start: number of iterations already completed.
            stream: output stream; standard error by default.
            quiet: print warnings only.
        """
        self._quiet = quiet
        self._stream = stream or sys.stderr
        self._total, self._step, self._shown = total, start, start
        self._images = 0
        self._gap, self._gap_name, self._gradient_norm = math.nan, "", math.nan
        self._clock = time.monotonic()
        self._bar: tqdm | None = None
        if self._stream.isatty() and not quiet:
            self._bar = tqdm(
                total=total,
                initial=start,
                file=self._stream,
                unit="it",
                dynamic_ncols=True,
                mininterval=0,
            )

    def update(
        self,
        step: int,
        *,
        images: int,
        gap: float,
        gap_name: str,
        gradient_norm: float,
    ) -> None:
        """Records one iteration, and reports if it is time.

        Args:
            step: number of completed iterations, including this one.
            images: real images used by the critic in this iteration.
            gap: mean difference of the critic's scores of real and fake
                examples.
            gap_name: name of that difference.
            gradient_norm: mean gradient norm of the critic.
        """
        self._step = step
        self._images += images
        self._gap, self._gap_name = gap, gap_name
        self._gradient_norm = gradient_norm
        wait = _LINE_SECONDS if self._bar is None else _BAR_SECONDS
        if step >= self._total or time.monotonic() - self._clock >= wait:
            self._report()

    def idle(self, seconds: float) -> None:
        """Excludes seconds without training from the speed."""
        self._clock += seconds

    def event(self, text: str) -> None:
        """Prints a separate line, unless it is quiet."""
        if not self._quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Prints a separate line, above the bar if there is one."""
        if self._bar is None:
            print(text, file=self._stream, flush=True)
        else:
            self._bar.write(text, file=self._stream)

    def close(self) -> None:
        """Reports what is pending, and moves the cursor to a new line."""
        if self._step > self._shown:
            self._report()
        if self._bar is not None:
            self._bar.close()

    def _report(self) -> None:
        now = time.monotonic()
        seconds = max(now - self._clock, 1e-9)
        iterations = self._step - self._shown
        speed = iterations / seconds
        images = f"{self._images / seconds:.0f} images/s"
        self._clock, self._shown, self._images = now, self._step, 0
        if self._bar is not None:
            # Short, because a terminal with 80 columns truncates it.
            gap = "W" if self._gap_name.startswith("W") else "gap"
            figures = f"{gap} {self._gap:.4g}, |grad| {self._gradient_norm:.3g}"
            self._bar.set_postfix_str(f"{images}, {figures}", refresh=False)
            self._bar.update(iterations)
            return
        left = (self._total - self._step) / max(speed, 1e-9)
        self.event(
            f"Iteration {self._step} of {self._total}, {_duration(left)} left: "
            f"{speed:.3g} iterations/s, {images}, {self._gap_name} "
            f"{self._gap:.4g}, gradient norm {self._gradient_norm:.4g}."
        )


class Stages:
    """Progress of a task with several parts: a bar on a terminal, otherwise lines.

    If the output is not a terminal, a line is printed at most every ten
    seconds.
    """

    def __init__(self, *, stream: TextIO | None = None, quiet: bool = False) -> None:
        """Starts the clock.

        Args:
            stream: output stream; standard error by default.
            quiet: print nothing.
        """
        self._quiet = quiet
        self._stream = stream or sys.stderr
        self._clock = time.monotonic()
        self._part = ""
        self._bar: tqdm | None = None

    def update(self, part: str, done: int, total: int) -> None:
        """Records the progress of a part, and reports if it is time.

        Args:
            part: name of the part.
            done: number of completed items.
            total: total number of items.
        """
        if self._quiet:
            return
        if self._stream.isatty():
            if self._bar is None or self._part != part:
                self.close()
                self._part = part
                self._bar = tqdm(
                    desc=part,
                    total=total,
                    file=self._stream,
                    unit="",
                    dynamic_ncols=True,
                    leave=False,
                )
            self._bar.update(done - self._bar.n)
            return
        now = time.monotonic()
        if now - self._clock >= _LINE_SECONDS:
            self._clock = now
            print(f"{part}: {done} of {total}", file=self._stream, flush=True)

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _plain(value: Any) -> Any:
    """Converts a value to plain Python types; non-finite numbers become None."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = value.item() if hasattr(value, "item") else float(value)
    return number if math.isfinite(number) else None


def _step_of(line: bytes) -> float:
    """Returns the step of a line; infinity if the line is incomplete or invalid."""
    if not line.endswith(b"\n"):
        return math.inf
    try:
        return int(parse_json(line)["step"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return math.inf
