"""Handling of signals: the training loop stops between two iterations."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self

from jax.experimental import multihost_utils

from wgan_jax.parallel import multiprocess

# Ctrl-C and kill; a terminal that was closed; the warnings of batch systems.
_ALWAYS = ("SIGINT", "SIGTERM")
_UNLESS_IGNORED = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")


def _handled() -> list[signal.Signals]:
    """Returns the signals that stop a run, without those that it was told to ignore.

    ``nohup`` ignores SIGHUP, for example.
    """
    names = (n for n in (*_ALWAYS, *_UNLESS_IGNORED) if hasattr(signal, n))
    return [
        number
        for number in map(signal.Signals.__getitem__, names)
        if number.name in _ALWAYS or signal.getsignal(number) != signal.SIG_IGN
    ]


class Interruption:
    """Context manager that records the first signal that ends a run.

    These are SIGINT and SIGTERM, and unless they are ignored, SIGHUP, SIGUSR1,
    SIGUSR2 and SIGXCPU.

    In a single process, the second signal has its usual effect, so that users
    need not wait for the final checkpoint.

    In a multi-process run, a signal to any process stops all of them after the
    same iteration. JAX's runtime handles SIGTERM from initialization to shutdown
    and synchronizes the decision.

    Attributes:
        signal: the received signal, or None. In a multi-process run, SIGTERM
            once all processes have agreed to stop.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._asked = 0

    def __enter__(self) -> Self:
        shared = multiprocess.is_shared()
        for number in _handled():
            if shared and number == signal.SIGTERM:
                continue  # JAX's runtime handles it
            handler = self._pass_on if shared else self._note
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def due(self) -> bool:
        """Returns whether to stop now.

        In a multi-process run, every process must call this function equally
        often, for example after each call of the compiled step. All processes
        get the same answer at the same call.
        """
        if multiprocess.is_shared():
            self._asked += 1
            if multihost_utils.reached_preemption_sync_point(self._asked):
                self.signal = signal.SIGTERM
        return self.signal is not None

    def agree(self) -> bool:
        """Returns whether to stop now, after the primary process alone asked.

        In a multi-process run, the primary process may call ``due`` more often than
        the others during work of its own. All processes must then call this
        function, before any calls ``due`` again.
        """
        if multiprocess.is_shared():
            asked = int(multiprocess.broadcast_from_primary(float(self._asked)))
            if asked > self._asked:
                # The runtime stops all processes at the same number.
                self._asked = asked - 1
                self.due()
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal number, as a shell reports it; 0 without a signal."""
        return 0 if self.signal is None else 128 + self.signal

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        self._restore()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._restore()
        os.kill(os.getpid(), signal.SIGTERM)  # to JAX's runtime

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
