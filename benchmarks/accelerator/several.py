"""One process of the stage ``fast``: several cases, compiled ahead, then timed."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "pytorch"))

from pytorch_cases import Case


class Several:
    """Several cases in one process, by name.

    Starting a process and creating a device context take seconds, which is too
    long to do for each case in a limited time on a device.
    """

    def __init__(self, make_side: Callable[[list[Any]], Any]):
        """Initializes without any case.

        Args:
            make_side: returns a ``Side`` for a case given as a list, or one
                without a case for [].
        """
        self._make_side = make_side
        self._sides: dict[str, Any] = {}

    def open(
        self, name: str, case: Sequence[Any], steps: Sequence[str], until: float
    ) -> dict[str, float | str]:
        """Compiles steps of a case and runs each twice.

        Args:
            name: name of the case.
            case: the case as a list.
            steps: names of steps.
            until: time (as ``time.time``) after which no further step is
                compiled.

        Returns:
            For each step, the seconds it took, or the reason why it is missing.
        """
        side = self._side(name, case)
        found: dict[str, float | str] = {}
        for step in steps:
            if time.time() >= until and not side.ready(step):
                found[step] = "not started within the time limit"
                continue
            try:
                found[step] = side.open(step)
            except Exception as error:
                first = (str(error).strip() or "no message").splitlines()[0]
                found[step] = f"{type(error).__name__}: {first}"
        return found

    def prepare(
        self, plan: Sequence[tuple[str, Sequence[Any], Sequence[str]]], until: float
    ) -> None:
        """Compiles ahead if possible; ``plan`` has the arguments of ``open``."""

    def _side(self, name: str, case: Sequence[Any]) -> Any:
        if name not in self._sides:
            self._sides[name] = self._make_side(list(case))
        return self._sides[name]

    def time(self, name: str, step: str, count: int) -> tuple[float, float]:
        """Returns wall-clock and CPU seconds per step, over ``count`` steps."""
        return self._sides[name].time(step, count)

    def memory(self) -> int | None:
        """Returns the peak memory in use on the device so far; None on a CPU."""
        sides = list(self._sides.values())
        found: int | None = sides[0].device_peak() if sides else None
        return found

    def about(self) -> dict[str, Any]:
        """Returns the versions and the device."""
        found: dict[str, Any] = self._make_side([]).about()
        return found


def case_of(values: Sequence[Any]) -> list[Any] | None:
    """Returns a case in the form that ``Side`` takes: a list, or None."""
    return list(Case(*values)) if values else None
