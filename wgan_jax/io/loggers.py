"""Loggers of a run: JSON lines, TensorBoard and progress.

Only one process of a run may open these.
"""

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tensorboardX import SummaryWriter
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import scalar
from tqdm import tqdm

from wgan_jax.io.files import atomic_write

_BAR_SECONDS, _LINE_SECONDS = 0.5, 10.0  # between two reports of Progress
_FLUSH_SECONDS = 10  # of scalars that a killed run may lose in TensorBoard


class JsonLines:
    """A file of one JSON object a line, ``{"step": 1200, "critic/loss": ...}``.

    Each line is with the operating system when ``write`` returns. A number
    that is not finite is written as null, because JSON has no word for it.
    """

    def __init__(self, path: str | os.PathLike[str], *, mend: bool = True) -> None:
        """Opens a file to append to, without the torn end of a killed run.

        Args:
            path: of the file; folders on the way are made.
            mend: drop the torn end; not while another process may be writing it.
        """
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a+b")
        self._file.seek(0)
        if mend:
            self._file.truncate(self._file.read().rfind(b"\n") + 1)

    def write(self, step: int, *rows: Mapping[str, Any]) -> None:
        """Appends a line for each row, all of them at once.

        Args:
            step: iterations done.
            *rows: numbers (NumPy's and JAX's scalars too), strings, booleans,
                None, and lists and dicts of them, by name.
        """
        lines = [
            json.dumps({"step": int(step), **_plain(row)}, allow_nan=False)
            for row in rows
        ]
        self._file.write("".join(f"{line}\n" for line in lines).encode())
        self._file.flush()

    def truncate_after(self, step: int) -> int:
        """Drops what an unbroken run would not have written yet.

        The file changes at once or, if the program is killed, not at all.

        Args:
            step: lines of greater steps go, and lines that are no such object.

        Returns:
            How many went.
        """
        lines = self._path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if _step_of(line) <= step]
        if len(kept) < len(lines):
            with atomic_write(self._path) as stream:
                stream.write(b"".join(kept))
            self._file.close()
            self._file = self._path.open("a+b")
        return len(lines) - len(kept)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoard:
    """Scalars and pictures as TensorBoard event files."""

    def __init__(
        self, directory: str | os.PathLike[str], *, purge_step: int | None = None
    ) -> None:
        """Starts a new event file.

        Args:
            directory: made if it is not there.
            purge_step: TensorBoard shall forget what older files in the
                directory say of this step and later ones.
        """
        self._writer = SummaryWriter(
            os.fspath(directory), purge_step=purge_step, flush_secs=_FLUSH_SECONDS
        )

    def scalars(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds a point to a curve for each name.

        Args:
            step: iterations done.
            values: numbers by path, such as ``critic/penalty``.
        """
        # One event for all: each goes through a queue to the thread that writes,
        # and a short iteration would wait for twenty of them.
        points = [scalar(name, float(value)).value[0] for name, value in values.items()]
        self._writer.file_writer.add_summary(Summary(value=points), int(step))

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Adds a picture.

        Args:
            step: iterations done.
            name: of the series of pictures.
            image: uint8 ``[height, width, 1 or 3]``.
        """
        self._writer.add_image(name, image, int(step), dataformats="HWC")

    def close(self) -> None:
        """Writes what is waiting and closes the file."""
        self._writer.close()


class Progress:
    """How far a run is and how fast: a bar on a terminal, else plain lines.

    Off a terminal (a log file, a cluster's console) a line comes every ten
    seconds at most, and one at the end. Images per second are real images that
    the critic was shown, those of all its updates, over all devices.
    """

    def __init__(self, total: int, start: int, *, stream: TextIO | None = None) -> None:
        """Starts the clock.

        Args:
            total: iterations that the run shall have done at its end.
            start: iterations done already.
            stream: to write to; standard error by default.
        """
        self._stream = stream or sys.stderr
        self._total, self._step, self._shown = total, start, start
        self._images = 0
        self._estimate = self._gradient_norm = math.nan
        self._clock = time.monotonic()
        self._bar: tqdm | None = None
        if self._stream.isatty():
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
        """Takes in one iteration, and reports if it is time.

        Args:
            step: iterations done, this one included.
            images: real images that the critic was shown in it.
            gap: mean difference of the critic's scores of real and fake.
            gap_name: what it is called.
            gradient_norm: of the critic, mean.
        """
        self._step = step
        self._images += images
        self._gap, self._gap_name = gap, gap_name
        self._gradient_norm = gradient_norm
        wait = _LINE_SECONDS if self._bar is None else _BAR_SECONDS
        if step >= self._total or time.monotonic() - self._clock >= wait:
            self._report()

    def idle(self, seconds: float) -> None:
        """Leaves seconds in which nothing was trained out of the speed."""
        self._clock += seconds

    def event(self, text: str) -> None:
        """Prints a line of its own, above the bar if there is one."""
        if self._bar is None:
            print(text, file=self._stream, flush=True)
        else:
            self._bar.write(text, file=self._stream)

    def close(self) -> None:
        """Reports what was not yet, and leaves the cursor on a new line."""
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
            # Short, because a terminal of 80 columns cuts the end off.
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
    """How far a piece of work with several parts is: a bar on a terminal, or lines.

    Off a terminal a line comes every ten seconds at most.
    """

    def __init__(self, *, stream: TextIO | None = None) -> None:
        """Starts the clock.

        Args:
            stream: to write to; standard error by default.
        """
        self._stream = stream or sys.stderr
        self._clock = time.monotonic()
        self._part = ""
        self._bar: tqdm | None = None

    def update(self, part: str, done: int, total: int) -> None:
        """Takes in how far a part is, and reports if it is time.

        Args:
            part: what it is called.
            done: pieces of it that are done.
            total: all of its pieces.
        """
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
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _plain(value: Any) -> Any:
    """The value in Python's own types, null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = value.item() if hasattr(value, "item") else float(value)
    return number if math.isfinite(number) else None


def _step_of(line: bytes) -> float:
    """The step of a line; infinite if it is not a whole line of ours."""
    if not line.endswith(b"\n"):
        return math.inf
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return math.inf
