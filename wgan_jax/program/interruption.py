"""Handles Ctrl-C and SIGTERM: the loop stops between two iterations."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self

from jax.experimental import multihost_utils

from wgan_jax.parallel import multiprocess

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Collects the first SIGINT or SIGTERM while in force.

    In a process alone a second one acts as it would have without us, so that nobody
    has to wait for a checkpoint that they do not want.

    Of several processes that are one run, a signal to any one ends all after the
    same iteration: JAX's runtime, which took over SIGTERM when they met, agrees
    on it, and keeps it until they part.

    Attributes:
        signal: which signal came, or None; of several processes SIGTERM, once all
            have agreed to stop.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._asked = 0

    def __enter__(self) -> Self:
        if multiprocess.is_shared():
            self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._pass_on)
            return self
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def due(self) -> bool:
        """Whether to stop now.

        Processes that are one run ask equally often, as after each call of the
        compiled step, and get equal answers: a stop is due at a question that all
        have still before them when the signal comes.
        """
        if multiprocess.is_shared():
            self._asked += 1
            if multihost_utils.reached_preemption_sync_point(self._asked):
                self.signal = signal.SIGTERM
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as a shell reports it; 0 without one."""
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
