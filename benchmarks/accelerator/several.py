"""One process's side of the stage ``fast``: several cases, opened ahead, then timed."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "pytorch"))

from pytorch_cases import Case


class Several:
    """Sides of several cases, by name, in one process.

    Starting a process and a device's context takes seconds, which a short visit to a
    device does not have for each case.
    """

    def __init__(self, make_side: Callable[[list[Any]], Any]):
        """Makes no side yet.

        Args:
            make_side: from a case as a list, a ``Side``; from [] one without case.
        """
        self._make_side = make_side
        self._sides: dict[str, Any] = {}

    def open(
        self, name: str, case: Sequence[Any], steps: Sequence[str], until: float
    ) -> dict[str, float | str]:
        """Makes steps of a case and takes each twice.

        Args:
            name: of the case from now on.
            case: as a list.
            steps: names.
            until: time of ``time.time`` after which nothing more is compiled.

        Returns:
            By step the seconds that it took, or a sentence on why there is none.
        """
        side = self._side(name, case)
        found: dict[str, float | str] = {}
        for step in steps:
            if time.time() >= until and not side.ready(step):
                found[step] = "no time was left to open it"
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
        """Compiles ahead what can be; ``plan`` has name, case and steps as ``open``."""

    def _side(self, name: str, case: Sequence[Any]) -> Any:
        if name not in self._sides:
            self._sides[name] = self._make_side(list(case))
        return self._sides[name]

    def time(self, name: str, step: str, count: int) -> tuple[float, float]:
        """Wall and CPU seconds of one of ``count`` steps in a row."""
        return self._sides[name].time(step, count)

    def memory(self) -> int | None:
        """Most bytes of the device that were in use so far; None on a CPU."""
        sides = list(self._sides.values())
        found: int | None = sides[0].device_peak() if sides else None
        return found

    def about(self) -> dict[str, Any]:
        """Versions and the device."""
        found: dict[str, Any] = self._make_side([]).about()
        return found


def case_of(values: Sequence[Any]) -> list[Any] | None:
    """A case as ``Side`` takes it: a list, or None if there is none."""
    return list(Case(*values)) if values else None
