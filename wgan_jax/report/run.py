"""Reads a run's folder: config, metrics and evaluations."""

import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.config.differences import flatten
from wgan_jax.errors import ReportError

GAPS = {
    "critic/wasserstein_estimate": "Wasserstein estimate",
    "critic/score_gap": "score gap",
}
SLOPES = ("critic/gradient_norm_mean", "critic/gradient_norm_at_fakes")
_LARGEST = 3e38  # that a curve can show: browsers are sent float32


@dataclass(frozen=True)
class Series:
    """One metric over a run.

    Attributes:
        steps: int64 ``[n]``, growing.
        values: float64 ``[n]``; NaN where the run logged null.
    """

    steps: np.ndarray
    values: np.ndarray

    def last(self) -> float | None:
        """The last value that is a number."""
        known = self.values[np.isfinite(self.values)]
        return float(known[-1]) if len(known) else None


@dataclass(frozen=True)
class Run:
    """One run's records.

    Attributes:
        name: for people; no other run of the report has it.
        path: the folder.
        record: ``config.json``.
        series: metrics by the names they were logged under.
        evaluations: the lines of ``evaluations.jsonl``.
    """

    name: str
    path: Path
    record: Mapping[str, Any]
    series: Mapping[str, Series]
    evaluations: Sequence[Mapping[str, Any]]

    @property
    def step(self) -> int:
        """Iterations done when the last line was logged."""
        return max(int(s.steps[-1]) for s in self.series.values())

    @property
    def config(self) -> dict[str, Any]:
        """The config's fields by dotted path."""
        return dict(flatten(self.record["config"]))


def read_runs(workdirs: Sequence[Path]) -> list[Run]:
    """Reads runs' folders.

    Args:
        workdirs: at least one.

    Returns:
        The runs in that order.

    Raises:
        ReportError: if a folder is no run's, or holds no metrics yet.
    """
    if not workdirs:
        raise ReportError("a report is of one run folder or more, and none was given.")
    names = _names([Path(w).absolute() for w in workdirs])
    return [_read(Path(w), name) for w, name in zip(workdirs, names, strict=True)]


def _read(path: Path, name: str) -> Run:
    file = path / "config.json"
    if not file.is_file():
        raise ReportError(
            f"{path} is not a run's folder: it has no config.json; give the --workdir "
            "of a run."
        )
    try:
        record = json.loads(file.read_text())
        if not isinstance(record["config"], Mapping):
            raise TypeError("'config' is no object")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(
            f"{file} cannot be read ({error!r}); a report needs the one that the run "
            "wrote."
        ) from error
    series = _read_metrics(path / "metrics.jsonl")
    if not series:
        raise ReportError(
            f"{path / 'metrics.jsonl'} holds no metrics yet; report on the run when it "
            "has logged a line (every config.log.every iterations)."
        )
    evaluations = list(_lines(path / "evaluations.jsonl"))
    return Run(name, path, record, series, evaluations)


def _read_metrics(path: Path) -> dict[str, Series]:
    # Flat arrays: a run of 100,000 lines would be gigabytes of Python's objects.
    columns: dict[str, tuple[array, array]] = {}
    for line in _lines(path):
        step = line.pop("step")
        for name, value in line.items():
            # Nearly all are floats, and a call for each of millions takes seconds.
            number = value if type(value) is float else _number(value)
            if number is None:
                continue
            if name not in columns:
                columns[name] = array("q"), array("d")
            columns[name][0].append(step)
            columns[name][1].append(number)
    found = {}
    for name, (steps, values) in columns.items():
        order = np.argsort(np.array(steps), kind="stable")
        numbers = np.array(values)[order]
        numbers[np.abs(numbers) > _LARGEST] = math.nan
        series = Series(np.array(steps)[order], numbers)
        if series.last() is not None:
            found[name] = series
    return found


def _number(value: Any) -> float | None:
    """A number, NaN for null; None for what no curve can show."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _LARGEST else math.nan


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects with a step; a killed run's torn line is none."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        for raw in file:
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if not isinstance(line, dict):
                continue
            step = line.get("step")
            if isinstance(step, int) and abs(step) < 2**31:
                yield line


def _names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, with those above where two have the same."""
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = ["/".join(path.parts[-2:]) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names, 1)]
    return names
