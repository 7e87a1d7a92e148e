"""Groups metrics into charts and reduces the number of points."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from wgan_jax.report.names import readable
from wgan_jax.report.run import GAPS, GRADIENT_NORMS, Run, Series

_POINTS = 1_000  # per curve, more than a chart has distinguishable pixels
_NUMBERS = 290_000  # over all curves, 1.5 MB of the page
_OVERHEAD = 430  # fixed cost of a curve, in numbers
_FEWEST = 20  # minimum number of points per curve
_PARTS = re.compile(r"(?P<base>.+?)(?P<setting>/[^/=]+=.+?)?(?P<std>_std)?")


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        label: what it shows, without the name of the run.
        run: index of its run.
        steps: int64 ``[n]``.
        values: ``[n]``, NaN in gaps.
        deviation: ``[n]``, drawn around the values; or None.
        dashed: whether the line is dashed.
        name: path of the metric; empty for evaluations.
    """

    label: str
    run: int
    steps: np.ndarray
    values: np.ndarray
    deviation: np.ndarray | None = None
    dashed: bool = False
    name: str = ""


@dataclass(frozen=True)
class Chart:
    """Several curves on common axes.

    Attributes:
        title: plain text.
        note: explanation in complete sentences; may be empty.
        curves: curves, ordered by run and name.
        sparse: draw each point with its deviation, without smoothing.
    """

    title: str
    note: str
    curves: list[Curve] = field(default_factory=list)
    sparse: bool = False


_GROUPS = [
    (
        r"critic/wasserstein_",
        "Wasserstein estimate",
        "The raw estimate is the critic's mean score of real examples minus that of "
        "generated examples. If the critic's gradient norm is above 1, the estimate "
        "is larger than the distance; the other curves correct it. A negative "
        "estimate means that the critic is not trained enough yet, or that the "
        "generator is ahead of it.",
    ),
    (
        r"critic/score_gap",
        "Score gap",
        "The critic's mean score of real examples minus that of generated examples. "
        "For this objective it is not a distance.",
    ),
    (
        r".*/loss$",
        "Losses",
        "Losses of the critic and the generator. They need not decrease during "
        "training.",
    ),
    (
        r"critic/gradient_norm_",
        "Critic gradient norm",
        "Norm of the gradient of the critic's score with respect to its input. For a "
        "Wasserstein critic it should be at most 1.",
    ),
    (
        r".*/(penalty|regularizer)(/|$)",
        "Penalties and regularizers",
        "Contributions to the losses, including weights.",
    ),
    (
        r".*/(real|fake)_score$",
        "Scores",
        "Mean scores of the critic. Only their difference matters, because the "
        "critic's output may have any offset.",
    ),
    (
        r".*/grad_norm$",
        "Parameter gradient norms",
        "Norms of the gradients of the losses with respect to the parameters.",
    ),
    (r".*/update_norm$", "Update norms", "Norms of the parameter updates."),
    (r".*/param_norm$", "Parameter norms", ""),
    (r"throughput/", "Throughput", "Real examples used by the critic per second."),
]


def metric_charts(runs: Sequence[Run]) -> list[Chart]:
    """Groups all logged metrics into charts.

    Args:
        runs: runs to overlay in each chart.

    Returns:
        Charts in a fixed order of topics. Metrics without a topic get their own
        chart at the end.
    """
    charts: dict[tuple[int, str], Chart] = {}
    for index, run in enumerate(runs):
        for name in sorted(run.series, key=_order):
            series = run.series[name]
            parts = _parts(name)
            if parts["std"] and _same_steps(series, run.series.get(name[:-4])):
                continue  # drawn as the band around its mean
            place, chart = _chart_of(parts["base"], parts["setting"])
            spread = run.series.get(f"{name}_std")
            deviation = (
                spread.values if spread and _same_steps(spread, series) else None
            )
            # In the chart of a sweep, the title names the metric.
            label = readable(name)
            if parts["setting"]:
                label = parts["setting"][1:] + parts["std"]
            charts.setdefault(place, chart).curves.append(
                Curve(label, index, series.steps, series.values, deviation, name=name)
            )
    # In each topic, the metrics of a sweep's settings follow those of the mean.
    return [charts[place] for place in sorted(charts)]


def thin(charts: Sequence[Chart]) -> list[Chart]:
    """Reduces the points of all charts to fit the size limit of the page.

    Args:
        charts: all charts of the page.

    Returns:
        The same charts with fewer points per curve.
    """
    columns = [2 if c.deviation is None else 4 for x in charts for c in x.curves]
    numbers = _NUMBERS - _OVERHEAD * len(columns)
    limit = max(_FEWEST, min(_POINTS, numbers // sum(columns)))
    return [replace(x, curves=[_thin(c, limit) for c in x.curves]) for x in charts]


def thin_indices(values: np.ndarray, limit: int) -> np.ndarray:
    """Selects points of a curve, preserving peaks and gaps.

    Args:
        values: ``[n]``, NaN in gaps.
        limit: maximum number of points, 8 or more.

    Returns:
        Ascending indices: the first and the last point and, for each interval
        in between, its minimum, its maximum and, if there is one, a gap.
    """
    if len(values) <= limit:
        return np.arange(len(values))
    inner, gaps = np.arange(1, len(values) - 1), np.isnan(values)
    kept = {0, len(values) - 1}
    for part in np.array_split(inner, (limit - 2) // (3 if gaps.any() else 2)):
        known = part[~gaps[part]]
        if len(known) < len(part):
            kept.add(int(part[gaps[part]][0]))
        if len(known):
            kept.add(int(known[np.argmin(values[known])]))
            kept.add(int(known[np.argmax(values[known])]))
    return np.array(sorted(kept))


def _thin(curve: Curve, limit: int) -> Curve:
    kept = thin_indices(curve.values, limit)
    spread = None if curve.deviation is None else curve.deviation[kept]
    return replace(
        curve, steps=curve.steps[kept], values=curve.values[kept], deviation=spread
    )


def _parts(name: str) -> dict[str, str]:
    """Splits a name into base, sweep setting and deviation suffix; empty if missing."""
    match = _PARTS.fullmatch(name)
    return match.groupdict("") if match else {"base": name, "setting": "", "std": ""}


def _chart_of(base: str, setting: str) -> tuple[tuple[int, str], Chart]:
    """Returns the position of a metric, and the chart to create there if needed."""
    place, title, note = len(_GROUPS), readable(base), ""
    for index, (pattern, group_title, group_note) in enumerate(_GROUPS):
        if re.match(pattern, base):
            place, title, note = index, group_title, group_note
            break
    if setting:
        swept = setting[1:].partition("=")[0]
        title, note = f"{readable(base)} by {swept}", ""
        return (place, title), Chart(title, note)
    # The empty string sorts before the charts of a sweep on the same topic.
    return (place, "" if place < len(_GROUPS) else base), Chart(title, note)


def _order(name: str) -> tuple[bool, str, float, str]:
    """Returns a sort key: main metrics first, then by name, then by setting."""
    parts = _parts(name)
    try:
        number = float(parts["setting"].rpartition("=")[2])
    except ValueError:
        number = -math.inf
    return name not in (*GAPS, *GRADIENT_NORMS), parts["base"], number, name


def _same_steps(first: Series, second: Series | None) -> bool:
    return second is not None and np.array_equal(first.steps, second.steps)
