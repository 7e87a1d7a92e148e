"""Charts and a table of evaluations, with their common protocol."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wgan_jax.evaluation import MEASURES
from wgan_jax.report.curves import Chart, Curve
from wgan_jax.report.names import METRICS, readable
from wgan_jax.report.run import Run, as_number

WEIGHTS = {"ema": "EMA", "live": "live"}
_ORDER = {name: place for place, name in enumerate(METRICS["Evaluations"])}
_METRIC, _OPTIONS = "metric", "options"
_FIELDS = {
    "features": "Features",
    "split": "Real examples from",
    "real_count": "Real examples",
    "fake_count": "Generated examples",
    "weights": "Weights of the features",
    "input_size": "Input size of the features",
    "resize": "Resizing",
    "quantisation": "Quantization",
    "seed": "Seed",
}

Protocol = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """Result of one evaluation.

    Attributes:
        step: number of completed iterations.
        value: NaN if it was not finite.
        deviation: standard deviation, or NaN.
    """

    step: int
    value: float
    deviation: float


@dataclass(frozen=True)
class Evaluated:
    """Results of one metric with one protocol.

    Attributes:
        metric: name of the metric.
        protocol: its protocol.
        points: results in the order of the iterations, by run, replica and
            weights.
    """

    metric: str
    protocol: Protocol
    points: Mapping[tuple[int, str, str], Sequence[Point]]


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        metric: name of the metric in words.
        better: ``lower is better``, or empty if the metric has no direction.
        differs: what differs from the common protocol; may be empty.
        run: index of the run.
        replica: name of the replica; empty for a single run.
        cells: last and best value for each kind of weights of the table.
    """

    metric: str
    better: str
    differs: str
    run: int
    replica: str
    cells: list[tuple[str, str]]


@dataclass(frozen=True)
class EvaluationTable:
    """All evaluations of the page.

    Attributes:
        weights: kinds of weights, EMA first.
        protocol: fields of the common protocol and their values.
        rows: rows by metric, run and replica.
    """

    weights: list[str]
    protocol: list[tuple[str, str]]
    rows: list[Row]


def collect(runs: Sequence[Run]) -> list[Evaluated]:
    """Collects the results of all runs by metric and protocol.

    Args:
        runs: the runs of the page.

    Returns:
        Results in a fixed order of the metrics. Results of different protocols
        are apart, because they are not comparable.
    """
    found: dict[tuple[str, str], dict[tuple[int, str, str], list[Point]]] = {}
    for index, run in enumerate(runs):
        for line in run.evaluations:
            owner = (index, str(line.get("run") or ""), str(line.get("weights") or ""))
            for protocol, point in _points(line):
                # Keys are sorted, so that equal protocols give equal strings.
                metric = str(protocol.get(_METRIC, "unnamed metric"))
                key = (metric, json.dumps(protocol, sort_keys=True))
                found.setdefault(key, {}).setdefault(owner, []).append(point)
    ordered = sorted(found, key=lambda key: (_ORDER.get(key[0], len(_ORDER)), key))
    return [
        Evaluated(
            metric,
            json.loads(text),
            {
                owner: _unique(points)
                for owner, points in sorted(found[metric, text].items())
            },
        )
        for metric, text in ordered
    ]


def evaluation_charts(evaluations: Sequence[Evaluated]) -> list[Chart]:
    """Returns a chart for each metric and protocol.

    Args:
        evaluations: result of ``collect``.
    """
    common, charts = _common(evaluations), []
    for one in evaluations:
        differs = _difference(one.protocol, common)
        note = f"With {differs}." if differs else ""
        chart = Chart(readable(one.metric), note, sparse=True)
        for (index, replica, weights), points in one.points.items():
            whose = " ".join(filter(None, (replica, WEIGHTS.get(weights, weights))))
            steps, values, spread = (
                np.array([getattr(point, name) for point in points])
                for name in ("step", "value", "deviation")
            )
            known = spread if np.isfinite(spread).any() else None
            chart.curves.append(
                Curve(whose, index, steps, values, known, dashed=weights == "live")
            )
        charts.append(chart)
    return charts


def evaluation_table(evaluations: Sequence[Evaluated]) -> EvaluationTable:
    """Returns the last and the best value of each metric.

    Args:
        evaluations: result of ``collect``.
    """
    common = _common(evaluations)
    kinds = {weights for one in evaluations for _, _, weights in one.points}
    weights = sorted(kinds, key=lambda kind: (kind != "ema", kind))
    rows = []
    for one in evaluations:
        direction = direction_of(one.metric)
        for run, replica in dict.fromkeys((run, name) for run, name, _ in one.points):
            cells = [
                _cells(one.points.get((run, replica, kind), ()), direction)
                for kind in weights
            ]
            better = f"{direction} is better" if direction else ""
            differs = _difference(one.protocol, common)
            rows.append(Row(readable(one.metric), better, differs, run, replica, cells))
    named = [(_FIELDS.get(name, name), _text(v)) for name, v in common.items()]
    return EvaluationTable([WEIGHTS.get(kind, kind) for kind in weights], named, rows)


def direction_of(metric: str) -> str:
    """Returns ``lower`` or ``higher``, whichever is better; empty if neither is."""
    for measure in MEASURES.values():
        if metric in measure.reports:
            return measure.reports[metric]
    return ""


def best_of(points: Sequence[Point], direction: str) -> Point | None:
    """Returns the best result, or None if there is none.

    Args:
        points: results of one metric.
        direction: as ``direction_of``.
    """
    known = [point for point in points if math.isfinite(point.value)]
    if not known or not direction:
        return None
    choose = min if direction == "lower" else max
    return choose(known, key=lambda point: point.value)


def in_words(point: Point) -> str:
    """Returns the value and the deviation of a result."""
    if not math.isfinite(point.value):
        return "not finite"
    spread = f" ± {point.deviation:.2g}" if math.isfinite(point.deviation) else ""
    return f"{point.value:.4g}{spread}"


def _points(line: Mapping[str, Any]) -> list[tuple[dict[str, Any], Point]]:
    points = []
    results = line.get("results")
    for result in results if isinstance(results, list) else ():
        if not isinstance(result, dict) or not isinstance(result.get("protocol"), dict):
            continue
        value, deviation = (_number(result.get(k)) for k in ("value", "deviation"))
        points.append((result["protocol"], Point(line["step"], value, deviation)))
    return points


def _unique(points: Sequence[Point]) -> list[Point]:
    # Repeated evaluations of the same step give the same value.
    return sorted({p.step: p for p in points}.values(), key=lambda p: p.step)


def _cells(points: Sequence[Point], direction: str) -> tuple[str, str]:
    """Returns the last and the best value, with their iterations."""
    if not points:
        return "", ""
    last, best = points[-1], best_of(points, direction)
    shown = f"{in_words(last)} at {last.step:,}"
    if best is None:
        return shown, ""
    return shown, f"{in_words(best)} at {best.step:,}"


def _fields(protocol: Protocol) -> dict[str, Any]:
    """Returns the fields that metrics can have in common."""
    ordered = sorted(protocol, key=[*_FIELDS, *sorted(protocol)].index)
    return {k: protocol[k] for k in ordered if k not in (_METRIC, _OPTIONS)}


def _common(evaluations: Sequence[Evaluated]) -> dict[str, Any]:
    """Returns the most frequent value of each field."""
    counts: dict[str, Counter[str]] = {}
    for one in evaluations:
        for name, value in _fields(one.protocol).items():
            counts.setdefault(name, Counter())[json.dumps(value, sort_keys=True)] += 1
    return {
        name: json.loads(values.most_common(1)[0][0]) for name, values in counts.items()
    }


def _difference(protocol: Protocol, common: Mapping[str, Any]) -> str:
    """Returns the options, and the fields that differ from the common protocol."""
    options = protocol.get(_OPTIONS)
    found = [
        f"{_FIELDS.get(name, name).lower()} {_text(value)}"
        for name, value in _fields(protocol).items()
        if common.get(name) != value
    ]
    named = options.items() if isinstance(options, dict) else ()
    return ", ".join(found + [f"{name} {_text(value)}" for name, value in named])


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "none" if value is None else str(value)


def _number(value: Any) -> float:
    number = as_number(value)
    return math.nan if number is None else number
