"""Facts on one run, for the summary of the page."""

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wgan_jax.evaluation import MEASURES, ordered_metrics
from wgan_jax.report.axes import images_seen
from wgan_jax.report.evaluations import (
    WEIGHTS,
    Evaluated,
    Point,
    best_of,
    collect,
    direction_of,
    in_words,
)
from wgan_jax.report.names import readable
from wgan_jax.report.run import GAPS, GRADIENT_NORMS, Run

_NOTHING = "unknown"


@dataclass(frozen=True)
class Headline:
    """The number that says most about a run.

    Attributes:
        value: the number, as text.
        label: name of the metric.
        about: at which iteration, and what else is needed to read it.
    """

    value: str
    label: str
    about: str


def headline(run: Run) -> Headline | None:
    """Returns the best value of the run's leading metric.

    That is ``config.evaluation.best_by``, or the first metric with a direction.
    Without evaluations it is the last Wasserstein estimate or score gap.

    Args:
        run: a run.
    """
    chosen = _leading(run)
    if chosen is not None:
        points = _mean_over_replicas(chosen)
        best = best_of(points, direction_of(chosen.metric))
        if best is not None:
            first = next(iter(chosen.points))
            replicas = len({name for _, name, _ in chosen.points})
            mean = f", mean of {replicas} replicas" if replicas > 1 else ""
            count = chosen.protocol.get("fake_count")
            examples = f"{count:,} samples, " if isinstance(count, int) else ""
            about = (
                f"iteration {best.step:,}, {WEIGHTS.get(first[2], first[2])} weights, "
                f"{examples}features {chosen.protocol.get('features')}{mean}; "
                f"{direction_of(chosen.metric)} is better"
            )
            return Headline(in_words(best), readable(chosen.metric), about)
    for name in GAPS:
        if name in run.series:
            about = f"iteration {run.step:,}, last value of training"
            return Headline(last_value(run, name), readable(name), about)
    return None


def facts_of(run: Run) -> list[tuple[str, str]]:
    """Returns the lines of the summary of a run.

    Args:
        run: a run.
    """
    record = run.record
    data, total = mapping(record, "data"), run.config.get("training.iterations")
    count = data.get("count")
    examples = f"{count:,} examples" if isinstance(count, int) else ""
    parts = [data.get("name"), data.get("split"), examples]
    of_total = f" of {total:,}" if isinstance(total, int) else ""
    facts = [("Iterations", f"{run.step:,}{of_total}"), *_best_checkpoint(run)]
    images = images_seen(run, run.step)
    if images is not None:
        facts.append(("Images seen", f"{images:,} real images in critic updates"))
    facts += _times(run)
    facts.append(("Data", ", ".join(str(part) for part in parts if part) or _NOTHING))
    facts.append(("Hardware", _hardware(record)))
    facts += _parameters(record)
    facts += [
        (f"{readable(name)}, last", last_value(run, name))
        for name in GAPS
        if name in run.series
    ]
    norm = next((name for name in GRADIENT_NORMS if name in run.series), None)
    if norm:
        facts.append((f"{readable(norm)}, last", last_value(run, norm)))
    origin = mapping(record, "origin")
    if origin:
        step = origin.get("step")
        at = f", iteration {step:,}" if isinstance(step, int) else ""
        how = "Forked from" if origin.get("kind") == "fork" else "Initialized from"
        facts.append((how, f"{origin.get('source')}{at}"))
    packages = mapping(record, "packages").items()
    versions = [f"{name} {version or _NOTHING}" for name, version in packages]
    facts.append(("Versions", ", ".join(versions) or _NOTHING))
    facts.append(("Commit", str(record.get("git_commit") or _NOTHING)))
    return facts


def last_value(run: Run, name: str) -> str:
    """Returns the last finite value of a metric as text."""
    value = run.series[name].last()
    return _NOTHING if value is None else f"{value:.4g}"


def mapping(record: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Returns a part of the record, or {} if it is missing, as in older runs."""
    found = record.get(part)
    return found if isinstance(found, Mapping) else {}


def _leading(run: Run) -> Evaluated | None:
    """Returns the results of the leading metric, of the weights that lead."""
    asked = run.config.get("evaluation.best_by")
    names = [asked] if asked else ordered_metrics(MEASURES.values())
    found = [one for one in collect([run]) if one.metric in names]
    # The protocol of most results is that of the evaluations during training.
    found.sort(key=lambda one: (names.index(one.metric), -_size(one)))
    if not found:
        return None
    kinds = {weights for _, _, weights in found[0].points}
    kind = "ema" if "ema" in kinds else min(kinds)
    points = {k: v for k, v in found[0].points.items() if k[2] == kind}
    return Evaluated(found[0].metric, found[0].protocol, points)


def _size(evaluated: Evaluated) -> int:
    return sum(len(points) for points in evaluated.points.values())


def _mean_over_replicas(evaluated: Evaluated) -> Sequence[Point]:
    series = list(evaluated.points.values())
    if len(series) == 1:
        return series[0]
    by_step: dict[int, list[float]] = {}
    for point in (point for points in series for point in points):
        by_step.setdefault(point.step, []).append(point.value)
    return [
        Point(step, float(np.mean(values)), math.nan)
        for step, values in sorted(by_step.items())
        if len(values) == len(series)
    ]


def _best_checkpoint(run: Run) -> list[tuple[str, str]]:
    folder = run.path / "best"
    found = folder.glob("*") if folder.is_dir() else ()
    steps = [int(path.name) for path in found if path.name.isdecimal()]
    if not steps:
        return []
    by = run.config.get("evaluation.best_by")
    named = f", by {readable(by)}" if isinstance(by, str) else ""
    return [("Best checkpoint", f"iteration {max(steps):,}{named}")]


def _times(run: Run) -> list[tuple[str, str]]:
    if run.clock is None:
        return []
    facts = [("Duration", duration(float(run.clock.seconds[-1])))]
    if math.isfinite(run.clock.began):
        began = time.strftime("%Y-%m-%d %H:%M", time.gmtime(run.clock.began))
        facts.append(("Started", f"{began} UTC"))
    return facts


def duration(seconds: float) -> str:
    """Returns a duration in two units, such as ``1 h 5 min``.

    Args:
        seconds: the duration.
    """
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    whole = max(0, round(seconds))
    for (size, name), (smaller, next_name) in itertools.pairwise(units):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name} {rest} {next_name}"
    return f"{whole} s"


def _hardware(record: Mapping[str, Any]) -> str:
    devices, machine = mapping(record, "devices"), mapping(record, "machine")
    kind = devices.get("kind") or devices.get("platform")
    if not kind:
        return _NOTHING
    count, processes = devices.get("count", 1), devices.get("processes", 1)
    parts = [str(kind) if count == 1 else f"{count} x {kind}"]
    if machine.get("processor"):
        parts.append(str(machine["processor"]))
    if machine.get("cores"):
        parts.append(f"{machine['cores']} cores")
    if processes != 1:
        parts.append(f"{processes} processes")
    return ", ".join(parts)


def _parameters(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    counts = mapping(record, "parameters").items()
    known = [f"{name} {n:,}" for name, n in counts if isinstance(n, int)]
    return [("Parameters", ", ".join(known))] if known else []
