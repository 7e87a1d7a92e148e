"""Reads the work directory of a run: config, metrics, evaluations and notes."""

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.errors import ReportError
from wgan_jax.io.json_text import parse_json, read_lines
from wgan_jax.io.mappings import flatten

GAPS = {
    "critic/wasserstein_estimate": "Wasserstein estimate",
    "critic/score_gap": "score gap",
}
GRADIENT_NORMS = ("critic/gradient_norm_mean", "critic/gradient_norm_at_fakes")
# Largest value of a curve: browsers use float32, and a sum of two must not overflow.
_LARGEST = 1e38
_UTC, _SECONDS = "time/utc", "time/seconds"
_NOTES = 20_000  # characters of notes to show


@dataclass(frozen=True)
class Series:
    """One metric of a run.

    Attributes:
        steps: int64 ``[n]``, ascending.
        values: float64 ``[n]``; NaN where the run logged null.
    """

    steps: np.ndarray
    values: np.ndarray

    def last(self) -> float | None:
        """Returns the last finite value, or None."""
        known = self.values[np.isfinite(self.values)]
        return float(known[-1]) if len(known) else None


@dataclass(frozen=True)
class Clock:
    """When iterations were logged.

    Attributes:
        steps: int64 ``[n]``, ascending.
        seconds: float64 ``[n]``, time in training since the first start, without
            the pauses between an interruption and the next start.
        began: seconds since 1970 of the first start (UTC).
    """

    steps: np.ndarray
    seconds: np.ndarray
    began: float


@dataclass(frozen=True)
class Run:
    """Records of one run.

    Attributes:
        name: display name, unique within the report.
        path: work directory.
        record: contents of ``config.json``.
        series: metrics by the names under which they were logged.
        evaluations: lines of ``evaluations.jsonl``.
        clock: when iterations were logged; None for older runs.
        heartbeat: contents of ``heartbeat.json``; empty for older runs.
        notes: text of ``notes.md``; may be empty.
    """

    name: str
    path: Path
    record: Mapping[str, Any]
    series: Mapping[str, Series]
    evaluations: Sequence[Mapping[str, Any]]
    clock: Clock | None = None
    heartbeat: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""

    @property
    def step(self) -> int:
        """Number of completed iterations at the last logged line."""
        return max(int(s.steps[-1]) for s in self.series.values())

    @property
    def config(self) -> dict[str, Any]:
        """Fields of the config by dotted path."""
        return dict(flatten(self.record["config"]))


def read_runs(workdirs: Sequence[Path]) -> list[Run]:
    """Reads the work directories of runs.

    Args:
        workdirs: at least one.

    Returns:
        The runs in the same order.

    Raises:
        ReportError: if a folder does not belong to a run, or has no metrics
            yet.
    """
    if not workdirs:
        raise ReportError("no run folder was given; a report needs at least one.")
    names = _names([Path(w).absolute() for w in workdirs])
    return [_read(Path(w), name) for w, name in zip(workdirs, names, strict=True)]


def _read(path: Path, name: str) -> Run:
    file = path / "config.json"
    if not file.is_file():
        raise ReportError(
            f"{path} is not the folder of a run: it has no config.json. Use the "
            "--workdir of a run."
        )
    try:
        record = parse_json(file.read_text())
        if not isinstance(record["config"], Mapping):
            raise TypeError("'config' is not an object")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReportError(
            f"{file} cannot be read ({error!r}); it must be the file that the run "
            "wrote."
        ) from error
    series, clock = _read_metrics(path / "metrics.jsonl")
    if not series:
        raise ReportError(
            f"{path / 'metrics.jsonl'} has no metrics yet; they are logged every "
            "config.log.every iterations."
        )
    evaluations = list(read_lines(path / "evaluations.jsonl"))
    return Run(
        name,
        path,
        record,
        series,
        evaluations,
        clock,
        _read_heartbeat(path / "heartbeat.json"),
        _read_notes(path / "notes.md"),
    )


def _read_heartbeat(path: Path) -> Mapping[str, Any]:
    try:
        found = parse_json(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_notes(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ReportError(f"{path} cannot be read ({error}).") from error
    if len(text) <= _NOTES:
        return text
    return (
        f"{text[:_NOTES]}\n[The other {len(text) - _NOTES:,} characters are left out.]"
    )


def _read_metrics(path: Path) -> tuple[dict[str, Series], Clock | None]:
    # Flat arrays: for 100,000 lines, Python objects would take gigabytes.
    columns: dict[str, tuple[array, array]] = {}
    for line in read_lines(path):
        step = line.pop("step")
        for name, value in line.items():
            # Nearly all values are floats, and millions of function calls would take
            # seconds.
            number = value if type(value) is float else as_number(value)
            if number is None:
                continue
            if name not in columns:
                columns[name] = array("q"), array("d")
            columns[name][0].append(step)
            columns[name][1].append(number)
    found = {}
    clock = _clock(columns)
    for name, (steps, values) in columns.items():
        if name.startswith("time/"):
            continue
        order = np.argsort(np.array(steps), kind="stable")
        numbers = np.array(values)[order]
        numbers[np.abs(numbers) > _LARGEST] = math.nan
        series = Series(np.array(steps)[order], numbers)
        if series.last() is not None:
            found[name] = series
    return found, clock


def _clock(columns: Mapping[str, tuple[array, array]]) -> Clock | None:
    """Returns the times of the lines; each start of the run counts from 0."""
    if _UTC not in columns or _SECONDS not in columns:
        return None
    steps, seconds = (np.array(column) for column in columns[_SECONDS])
    order = np.argsort(steps, kind="stable")
    steps, seconds = steps[order], np.nan_to_num(seconds[order])
    before = np.concatenate([[0.0], seconds[:-1]])
    offsets = np.cumsum(np.where(seconds < before, before, 0.0))
    first = np.argmin(np.array(columns[_UTC][0]))
    began = columns[_UTC][1][first] - seconds[0]
    return Clock(steps, seconds + offsets, float(began))


def as_number(value: Any) -> float | None:
    """Converts to a number, with NaN for null, or None if it cannot be plotted."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _LARGEST else math.nan


def _names(paths: Sequence[Path]) -> list[str]:
    """Returns the folder names, with the parent folder if two are the same."""
    names = [path.name for path in paths]
    if len(set(names)) < len(names):
        names = ["/".join(path.parts[-2:]) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{name} ({i})" for i, name in enumerate(names, 1)]
    return names
