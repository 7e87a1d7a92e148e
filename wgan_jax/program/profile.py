"""``--profile=N``: traces a few iterations."""

from collections.abc import Callable
from pathlib import Path

import jax

from wgan_jax.parallel import multiprocess
from wgan_jax.types import PyTree

_WARM = 2  # calls left out: the first ones fill caches and queues


class Profile:
    """Traces the iterations of a run that follow its first two calls.

    Of several processes process 0 traces, with the devices that are its own.
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
        """Decides which iterations.

        Args:
            folder: made when there is a trace.
            iterations: to trace, 1 at least; whole calls, until the run ends. None:
                no trace.
            start: iterations already done.
            per_call: iterations of a call.
            last: iteration that the run ends with.
            log: takes the line that says where the trace is.
        """
        self._folder, self._say, self._running = folder, log, False
        self._first = min(start + _WARM * per_call, last - per_call)
        self._end = None
        if iterations is not None:
            self._end = min(self._first + iterations, last)

    def close(self) -> None:
        """Ends a trace that the run did not come to the end of."""
        self._stop()

    def before(self, done: int, state: PyTree) -> None:
        """Starts the trace if it is to hold what comes now.

        Args:
            done: iterations done.
            state: waited for, so that the trace holds nothing older.
        """
        if self._end is not None and not self._running and done >= self._first:
            jax.block_until_ready(state)
            if multiprocess.is_primary():
                jax.profiler.start_trace(self._folder, create_perfetto_trace=True)
            multiprocess.barrier()
            self._running = True

    def after(self, done: int, state: PyTree) -> None:
        """Ends the trace if it holds what it shall.

        Args:
            done: iterations done.
            state: waited for, so that the trace holds all of them.
        """
        if self._running and self._end is not None and done >= self._end:
            jax.block_until_ready(state)
            self._stop()
            multiprocess.barrier()  # writing it takes long
            self._end = None
            self._say(
                f"Iterations {self._first + 1} to {done}: trace in {self._folder}; "
                "open its perfetto_trace.json.gz at https://ui.perfetto.dev"
            )

    def _stop(self) -> None:
        if self._running and multiprocess.is_primary():
            jax.profiler.stop_trace()
        self._running = False
