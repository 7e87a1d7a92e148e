"""Groups metrics into charts, and thins out their points."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from wgan_jax.report.run import GAPS, SLOPES, Run, Series

_POINTS = 1_000  # of a curve: more than a chart has pixels to tell apart
_NUMBERS = 290_000  # of all curves together; 1.5 MB of the page
_OVERHEAD = 430  # numbers' room that a curve takes, however short it is
_FEWEST = 20  # points of a curve, however many curves there are
_PARTS = re.compile(r"(?P<base>.+?)(?P<setting>/[^/=]+=.+?)?(?P<std>_std)?")


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        label: what it shows, without the run's name.
        run: index of its run.
        steps: int64 ``[n]``.
        values: ``[n]``, NaN in gaps.
        deviation: ``[n]``, drawn around the values; or None.
        dashed: draw the line with dashes.
    """

    label: str
    run: int
    steps: np.ndarray
    values: np.ndarray
    deviation: np.ndarray | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """Curves on one pair of axes.

    Attributes:
        title: plain text.
        note: how to read it, in plain sentences; may be empty.
        curves: in order of run and name.
        sparse: draw each point with its deviation, and smooth nothing.
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
        "generated ones. A critic steeper than 1 overstates the distance; the "
        "readings by_penalty, by_flow and by_slope correct the estimate for that. "
        "Below zero the critic is not trained yet, or the generator has overtaken it.",
    ),
    (
        r"critic/score_gap",
        "Score gap",
        "The critic's mean score of real examples minus that of generated ones; this "
        "objective gives it no unit of distance.",
    ),
    (r".*/loss$", "Losses", "What each player minimizes; they need not fall."),
    (
        r"critic/gradient_norm_",
        "Slope of the critic",
        "Norm of the gradient of the critic's score by its input. A Wasserstein "
        "critic should keep it at 1 or below.",
    ),
    (
        r".*/(penalty|regularizer)(/|$)",
        "Penalties and regularizers",
        "What they add to the losses, weights included.",
    ),
    (
        r".*/(real|fake)_score$",
        "Scores",
        "The critic's mean scores. Their common level is free; their difference is "
        "what counts.",
    ),
    (r".*/grad_norm$", "Gradient norms", "Of the losses by the parameters."),
    (r".*/update_norm$", "Update norms", "How far one update moves the parameters."),
    (r".*/param_norm$", "Parameter norms", ""),
    (r"throughput/", "Throughput", "Real examples that the critic saw, a second."),
]


def metric_charts(runs: Sequence[Run]) -> list[Chart]:
    """Everything that runs logged, in charts.

    Args:
        runs: overlaid in each chart.

    Returns:
        Charts in a fixed order of topics; what belongs to no topic has a chart of
        its own at the end.
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
            # In a sweep's chart the title names the metric.
            label = parts["setting"][1:] + parts["std"] if parts["setting"] else name
            charts.setdefault(place, chart).curves.append(
                Curve(label, index, series.steps, series.values, deviation)
            )
    # Metrics of a sweep's settings follow the charts of the means in each topic.
    return [charts[place] for place in sorted(charts)]


def thin(charts: Sequence[Chart]) -> list[Chart]:
    """The charts with no more points than a page has room for.

    Args:
        charts: of all the page.

    Returns:
        The same, with shorter curves.
    """
    columns = [2 if c.deviation is None else 4 for x in charts for c in x.curves]
    numbers = _NUMBERS - _OVERHEAD * len(columns)
    limit = max(_FEWEST, min(_POINTS, numbers // sum(columns)))
    return [replace(x, curves=[_thin(c, limit) for c in x.curves]) for x in charts]


def thin_indices(values: np.ndarray, limit: int) -> np.ndarray:
    """Which points of a curve to keep, such that its peaks and gaps stay.

    Args:
        values: ``[n]``, NaN in gaps.
        limit: points to keep at most, 8 or more.

    Returns:
        Growing indices; the first and the last point, and of each stretch between
        the least, the greatest and, if there is one, a gap.
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
    """Base, setting of a sweep and mark of a deviation, empty where there is none."""
    match = _PARTS.fullmatch(name)
    return match.groupdict("") if match else {"base": name, "setting": "", "std": ""}


def _chart_of(base: str, setting: str) -> tuple[tuple[int, str], Chart]:
    """Where a metric belongs, and the chart to make there if it is the first."""
    place, title, note = len(_GROUPS), base, ""
    for index, (pattern, group_title, group_note) in enumerate(_GROUPS):
        if re.match(pattern, base):
            place, title, note = index, group_title, group_note
            break
    if setting:
        swept = setting[1:].partition("=")[0]
        title, note = f"{base} by {swept}", ""
        return (place, title), Chart(title, note)
    # The empty string sorts before the sweep's charts of the same topic.
    return (place, "" if place < len(_GROUPS) else base), Chart(title, note)


def _order(name: str) -> tuple[bool, str, float, str]:
    """The figures that a run is judged by, the alphabet, a sweep's numbers."""
    parts = _parts(name)
    try:
        number = float(parts["setting"].rpartition("=")[2])
    except ValueError:
        number = -math.inf
    return name not in (*GAPS, *SLOPES), parts["base"], number, name


def _same_steps(first: Series, second: Series | None) -> bool:
    return second is not None and np.array_equal(first.steps, second.steps)
