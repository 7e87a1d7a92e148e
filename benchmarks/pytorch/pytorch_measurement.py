"""Measurements of ``pytorch.py``: alternating times, peak rates, memory."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from pytorch_cases import Case, label_of
from pytorch_workers import Failure, Worker

PAUSE = 0.02  # seconds, after which a side's threads no longer wait actively


class Sides:
    """Starts workers of both sides."""

    def __init__(self, torch_python: str):
        self._torch_python = torch_python

    def ours(self, case: Case | None = None, **settings: Any) -> Worker:
        """Starts a process with our networks."""
        return Worker(sys.executable, "pytorch_ours.py", case=case, **settings)

    def theirs(self, case: Case | None = None, **settings: Any) -> Worker:
        """Starts a process with PyTorch's networks."""
        return Worker(self._torch_python, "pytorch_steps.py", case=case, **settings)


def peak_of(workers: list[Worker], size: int) -> dict[str, float]:
    """Returns the operations per second of a matrix product, by library."""
    found: dict[str, float] = {}
    for worker in workers:
        found |= worker("peak", size=size)
        time.sleep(PAUSE)
    return found


class OtherWork:
    """CPU usage of other processes on the machine, round by round."""

    def __init__(self, workers: list[Worker]):
        self._workers = workers
        self._last = self._now()

    def _now(self) -> tuple[float, float, float]:
        """Returns seconds over all cores: elapsed, busy, and used by the workers."""
        own = sum(worker.processor_seconds() for worker in self._workers)
        try:
            row = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        except OSError:
            return 0.0, 0.0, own
        passed = [int(field) / os.sysconf("SC_CLK_TCK") for field in row]
        return sum(passed), sum(passed) - passed[3] - passed[4], own

    def share(self) -> float | None:
        """Returns the fraction of all cores since the last call; None if unknown."""
        now = self._now()
        passed, busy, own = (b - a for a, b in zip(self._last, now, strict=True))
        self._last = now
        return max(0.0, busy - own) / passed if passed else None


def measure(
    sides: Sides, case: Case, *, steps: list[str], forms: list[str], options: Any
) -> dict[str, Any]:
    """Times every step on every side, round by round.

    Args:
        sides: starts the workers.
        case: the networks.
        steps: names of the steps.
        forms: names of the forms of PyTorch.
        options: options of the command line: ``repeats`` and ``seconds``.

    Returns:
        ``times`` by step and side; ``peaks`` by round and library;
        ``other_work`` by round; ``opening``, seconds by step and side;
        ``operations`` by step; and ``failures`` by form and step.
    """
    workers = {"ours": sides.ours(case)}
    workers |= {form: sides.theirs(case, form=form) for form in forms}
    products = [workers["ours"], workers[forms[0]]]
    size = 2048 if workers["ours"]("about")["platform"] == "cpu" else 8192
    operations = {step: workers["ours"]("operations", step=step) for step in steps}
    counts: dict[tuple[str, str], int] = {}
    opening: dict[str, dict[str, float]] = {step: {} for step in steps}
    failures = {}
    for step in steps:
        for side, worker in workers.items():
            try:
                opening[step][side] = worker("open", step=step)
                once, _ = worker("time", step=step, count=1)
            except Failure as failure:
                if side == "ours":
                    raise
                failures[f"{side}, {step}"] = str(failure)
                print(f"skipped: {side}, {label_of(step, case)}: {failure}", flush=True)
                continue
            counts[step, side] = max(1, round(options.seconds / once))
    times: dict[str, dict[str, list[tuple[float, float]]]] = {s: {} for s in steps}
    peaks, others = [], []
    other_work = OtherWork(list(workers.values()))
    for number in range(options.repeats):
        # In each round, because the speed of a shared machine varies within minutes.
        peaks.append(peak_of(products, size))
        # Every other round is reversed, so that no side always follows the same one.
        for step, side in list(counts)[:: -1 if number % 2 else 1]:
            found = workers[side]("time", step=step, count=counts[step, side])
            times[step].setdefault(side, []).append(tuple(found))
            time.sleep(PAUSE)
        others.append(other_work.share())
    for worker in workers.values():
        worker.close()
    return {
        "times": times,
        "peaks": peaks,
        "other_work": others,
        "opening": opening,
        "operations": operations,
        "failures": failures,
    }


def memory_of(sides: Sides, case: Case, step: str, form: str) -> dict[str, Any]:
    """Measures the peak memory of one step on both sides, in separate processes."""
    found = {}
    for side, worker in (
        ("ours", sides.ours(case)),
        (form, sides.theirs(case, form=form)),
    ):
        found[side] = worker("memory", step=step)
        worker.close()
    return found
