"""Callbacks of a run, for one's own loggers.

To write one, subclass ``Callback`` and name it in the config as ``module:Class``.
``services.py`` has those of the package.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What a callback knows of its run.

    Attributes:
        name: name of the run's folder.
        folder: the run's folder.
        config: all settings by group, as JSON values.
        start: iteration from which the run starts or resumes.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    start: int


class Callback:
    """What a run tells, in its training thread; all methods do nothing here.

    A method that raises an exception is reported, and its callback is not called
    again; the run goes on. Only the primary process of a run has callbacks.
    """

    def __init__(self, run: RunInfo) -> None:
        """Starts.

        Args:
            run: the run.
        """

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Receives the metrics of an iteration, every ``log.every`` iterations.

        Args:
            step: number of completed iterations.
            metrics: numbers by path, such as ``critic/penalty``.
        """

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """Is told of a checkpoint, whose writing may not be finished yet.

        Args:
            step: number of completed iterations.
            folder: folder of the checkpoint.
        """

    def on_evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Receives the results of an evaluation.

        Args:
            step: number of completed iterations.
            values: results by path.
        """

    def on_samples(self, step: int, pictures: Sequence[Path]) -> None:
        """Is told of grids of samples that have been written.

        Args:
            step: number of completed iterations.
            pictures: PNG files.
        """

    def close(self) -> None:
        """Ends, also if the run was interrupted or failed."""


class Callbacks:
    """All callbacks of a run."""

    def __init__(
        self,
        makers: Mapping[str, Callable[[RunInfo], Callback]],
        run: RunInfo,
        *,
        tell: Callable[[str], None],
    ) -> None:
        """Starts the callbacks.

        Args:
            makers: classes of callbacks by name.
            run: the run.
            tell: function that prints one line.
        """
        self._tell = tell
        self._active: dict[str, Callback] = {}
        for name, make in makers.items():
            try:
                self._active[name] = make(run)
            except Exception as error:
                self._report(name, "start", error)

    def on_step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Passes on the metrics of an iteration.

        Args:
            step: number of completed iterations.
            metrics: numbers by path.
        """
        self._call("on_step", step, metrics)

    def on_checkpoint(self, step: int, folder: Path) -> None:
        """Tells of a checkpoint.

        Args:
            step: number of completed iterations.
            folder: folder of the checkpoint.
        """
        self._call("on_checkpoint", step, folder)

    def on_evaluation(self, step: int, values: Mapping[str, float]) -> None:
        """Passes on the results of an evaluation.

        Args:
            step: number of completed iterations.
            values: results by path.
        """
        self._call("on_evaluation", step, values)

    def on_samples(self, step: int, pictures: Sequence[Path]) -> None:
        """Tells of grids of samples.

        Args:
            step: number of completed iterations.
            pictures: PNG files.
        """
        self._call("on_samples", step, pictures)

    def close(self) -> None:
        """Ends all callbacks."""
        self._call("close")
        self._active.clear()

    def _call(self, method: str, *arguments: Any) -> None:
        for name, callback in list(self._active.items()):
            try:
                getattr(callback, method)(*arguments)
            except Exception as error:
                del self._active[name]
                self._report(name, method, error)

    def _report(self, name: str, method: str, error: Exception) -> None:
        reason = " ".join(str(error).split()) or "no message"
        self._tell(
            f"The callback {name} failed in {method} ({type(error).__name__}: "
            f"{reason}) and is not called again; the run goes on."
        )
