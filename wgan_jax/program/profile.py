"""``--profile=N``: a profiler trace of N iterations."""

from collections.abc import Callable
from pathlib import Path

import jax

from wgan_jax.parallel import multiprocess
from wgan_jax.types import PyTree

_WARM = 2  # skipped calls, which fill caches and queues


class Profile:
    """Traces iterations of a run after its first two calls of the compiled step.

    In a multi-process run, the primary process traces its own devices.
    """

    def __init__(
        self,
        folder: Path,
        iterations: int | None,
        *,
        start: int,
        per_call: int,
        last: int,
        log: Callable[[str], None],
    ) -> None:
        """Selects the iterations to trace.

        Args:
            folder: folder of the trace; created if needed.
            iterations: number of iterations to trace, at least 1. Rounded up to
                whole calls, and limited by the end of the run. None disables
                tracing.
            start: number of iterations already completed.
            per_call: iterations per call of the compiled step.
            last: last iteration of the run.
            log: function that prints one line.
        """
        self._folder, self._say, self._running = folder, log, False
        self._first = min(start + _WARM * per_call, last - per_call)
        self._end = None
        if iterations is not None:
            self._end = min(self._first + iterations, last)

    def close(self) -> None:
        """Ends a trace that is still running."""
        self._stop()

    def before(self, done: int, state: PyTree) -> None:
        """Starts the trace if the next call is the first one to trace.

        Args:
            done: number of completed iterations.
            state: training state. It is waited for, so that the trace does not
                include earlier computations.
        """
        if self._end is not None and not self._running and done >= self._first:
            jax.block_until_ready(state)
            if multiprocess.is_primary():
                jax.profiler.start_trace(self._folder, create_perfetto_trace=True)
            multiprocess.barrier()
            self._running = True

    def after(self, done: int, state: PyTree) -> None:
        """Ends the trace if it is complete.

        Args:
            done: number of completed iterations.
            state: training state. It is waited for, so that the trace includes
                all computations.
        """
        if self._running and self._end is not None and done >= self._end:
            jax.block_until_ready(state)
            self._stop()
            multiprocess.barrier()  # writing a trace takes long
            self._end = None
            self._say(
                f"Iterations {self._first + 1} to {done}: trace in {self._folder}. "
                "Open its perfetto_trace.json.gz at https://ui.perfetto.dev"
            )

    def _stop(self) -> None:
        if self._running and multiprocess.is_primary():
            jax.profiler.stop_trace()
        self._running = False
