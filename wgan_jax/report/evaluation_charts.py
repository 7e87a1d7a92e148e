"""Charts and tables of evaluations, with their protocols."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wgan_jax.evaluation import MEASURES
from wgan_jax.report.curves import Chart, Curve
from wgan_jax.report.run import Run

_WEIGHTS = {"ema": "EMA", "live": "live"}


@dataclass(frozen=True)
class Row:
    """One row of the table: the last and the best value of one curve.

    Attributes:
        metric: name of the metric.
        run: index of the run.
        whose: replica and weights.
        last: value, deviation and step, as text.
        best: the same for the best value; empty if the direction is unknown.
        protocol: short form of the protocol.
        details: all fields of the protocol and their values.
    """

    metric: str
    run: int
    whose: str
    last: str
    best: str
    protocol: str
    details: list[tuple[str, str]]


@dataclass(frozen=True)
class _Point:
    step: int
    value: float
    deviation: float


def evaluation_charts(runs: Sequence[Run]) -> tuple[list[Chart], list[Row]]:
    """Collects evaluation results as charts and as a table.

    Args:
        runs: runs to overlay where metric and protocol are the same.

    Returns:
        A chart for each metric and protocol, because results of different
        protocols are not comparable; and a row for each curve.
    """
    found: dict[tuple[str, str], dict[tuple[int, str, str], list[_Point]]] = {}
    for index, run in enumerate(runs):
        for line in run.evaluations:
            owner = (index, str(line.get("run") or ""), str(line.get("weights") or ""))
            for protocol, point in _points(line):
                # Keys are sorted, so that equal protocols give equal strings.
                key = (_metric(protocol), json.dumps(protocol, sort_keys=True))
                found.setdefault(key, {}).setdefault(owner, []).append(point)
    charts, rows = [], []
    for (metric, text), curves in sorted(found.items()):
        protocol = json.loads(text)
        chart = Chart(metric, f"{_in_short(protocol)}.", sparse=True)
        for (index, replica, weights), points in sorted(curves.items()):
            # Repeated evaluations of the same step give the same value.
            points = sorted({p.step: p for p in points}.values(), key=_step)
            whose = " ".join(filter(None, (replica, _WEIGHTS.get(weights, weights))))
            chart.curves.append(_curve(whose, index, weights == "live", points))
            rows.append(_row(metric, index, whose, points, protocol))
        charts.append(chart)
    return charts, rows


def _step(point: _Point) -> int:
    return point.step


def _points(line: Mapping[str, Any]) -> list[tuple[dict[str, Any], _Point]]:
    points = []
    results = line.get("results")
    for result in results if isinstance(results, list) else ():
        if not isinstance(result, dict) or not isinstance(result.get("protocol"), dict):
            continue
        value, deviation = (_number(result.get(k)) for k in ("value", "deviation"))
        points.append((result["protocol"], _Point(line["step"], value, deviation)))
    return points


def _curve(whose: str, run: int, dashed: bool, points: Sequence[_Point]) -> Curve:
    steps, values, spread = (
        np.array([getattr(point, name) for point in points])
        for name in ("step", "value", "deviation")
    )
    known = np.isfinite(spread).any()
    return Curve(whose, run, steps, values, spread if known else None, dashed=dashed)


def _row(
    metric: str,
    run: int,
    whose: str,
    points: Sequence[_Point],
    protocol: Mapping[str, Any],
) -> Row:
    known = [point for point in points if math.isfinite(point.value)]
    last = _text(points[-1])
    best = ""
    if known and (less := _less_is_better(metric)) is not None:
        choose = min if less else max
        chosen = choose(known, key=lambda point: point.value)
        best = f"{_text(chosen)}, the {'lowest' if less else 'highest'} of {len(known)}"
    options = protocol.get("options")
    fields = {k: v for k, v in protocol.items() if k not in ("metric", "options")}
    fields |= options if isinstance(options, dict) else {}
    details = [
        (str(name), "none" if v is None else str(v)) for name, v in fields.items()
    ]
    return Row(metric, run, whose, last, best, _in_short(protocol), details)


def _text(point: _Point) -> str:
    if not math.isfinite(point.value):
        return f"not finite at {point.step:,}"
    spread = f" ± {point.deviation:.2g}" if math.isfinite(point.deviation) else ""
    return f"{point.value:.4g}{spread} at {point.step:,}"


def _in_short(protocol: Mapping[str, Any]) -> str:
    real, fake = (protocol.get(f"{kind}_count", "?") for kind in ("real", "fake"))
    return (
        f"features {protocol.get('features', '?')}, {real} real and {fake} generated "
        f"examples, {protocol.get('split', '?')}"
    )


def _less_is_better(metric: str) -> bool | None:
    """Returns the direction of a metric, or None if it has none or is unknown."""
    for measure in MEASURES.values():
        better = measure.reports.get(metric)
        if better:
            return better == "lower"
    return None


def _metric(protocol: Mapping[str, Any]) -> str:
    return str(protocol.get("metric", "unnamed metric"))


def _number(value: Any) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if usable else math.nan
