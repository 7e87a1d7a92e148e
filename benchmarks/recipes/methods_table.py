"""Prints the comparison of methods as two Markdown tables, best first.

    python benchmarks/recipes/methods_table.py docs/recipes/fashion_mnist_methods.jsonl

Numbers are means over the seeds, with the standard deviation after ``±`` where there
is more than one seed; runs that diverged are counted apart. The second table has the
other scores. Its last columns are the rank correlations of the corrected estimate with
the kernel distance and with the Frechet distance, over the marks of a run. Without a
file, the overrides of each method are printed.
"""

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from trials import METHODS, UPDATES, WEIGHTS

Trial = dict[str, Any]
ESTIMATES = (
    "critic/wasserstein_by_penalty",
    "critic/wasserstein_by_gradient_norm_at_fakes",
)


def load(path: Path) -> dict[str, list[Trial]]:
    """Returns the trials of each method, in the order of the file."""
    found = defaultdict(list)
    for line in path.read_text().splitlines():
        trial = json.loads(line)
        found[trial["name"].partition(",")[0]].append(trial)
    return dict(found)


def last(trial: Trial, field: str) -> float:
    """Returns a score of the EMA weights at the end; NaN if the run diverged."""
    return trial["marks"][-1].get(field, float("nan"))


def estimates(trial: Trial) -> list[float]:
    """Returns the corrected Wasserstein estimate at the marks, if it has one."""
    for name in ESTIMATES:
        if all(name in mark for mark in trial["marks"]):
            return [mark[name] for mark in trial["marks"]]
    return []


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Returns Spearman's coefficient, for values without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def agreement(trial: Trial, score: str) -> float:
    """Returns how well the estimate orders the marks by a distance of the samples."""
    distances = [mark.get(score, float("nan")) for mark in trial["marks"]]
    found = estimates(trial)
    if len(found) < 3 or not np.all(np.isfinite(distances)):
        return float("nan")
    return rank_correlation(found, distances)


def _best(trial: Trial) -> float:
    return min(mark.get("kernel_distance", float("nan")) for mark in trial["marks"])


def _live(trial: Trial) -> float:
    return trial.get("live", {}).get("kernel_distance", float("nan"))


def _estimate(trial: Trial) -> float:
    return (estimates(trial) or [float("nan")])[-1]


Columns = dict[str, tuple[Callable[[Trial], float], str]]
DISTANCES: Columns = {
    "kernel distance": (lambda trial: last(trial, "kernel_distance"), ".3f"),
    "best": (_best, ".3f"),
    "current weights": (_live, ".3f"),
}
OTHERS: Columns = {
    "Frechet": (lambda trial: last(trial, "frechet_distance"), ".0f"),
    "precision": (lambda trial: last(trial, "precision"), ".2f"),
    "recall": (lambda trial: last(trial, "recall"), ".2f"),
    "coverage": (lambda trial: last(trial, "coverage"), ".2f"),
    "estimate": (_estimate, ".2f"),
    "with kernel": (lambda trial: agreement(trial, "kernel_distance"), ".1f"),
    "with Frechet": (lambda trial: agreement(trial, "frechet_distance"), ".1f"),
}


def cell(values: list[float], form: str) -> str:
    """Returns the mean and the standard deviation over the seeds with a value."""
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return "-"
    text = format(statistics.mean(values), form)
    if len(values) > 1:
        text += f" ± {format(statistics.stdev(values), form)}"
    return text


def rows(methods: dict[str, list[Trial]]) -> Iterator[list[str]]:
    """Yields the cells of both tables, with a row of no cells between them."""
    value, _ = DISTANCES["kernel distance"]

    def quality(name: str) -> float:
        found = [value(trial) for trial in methods[name]]
        return statistics.mean(x if np.isfinite(x) else float("inf") for x in found)

    ordered = sorted(methods, key=quality)
    yield ["method", "seeds", "iterations", *DISTANCES]
    for name in ordered:
        trials = methods[name]
        iterations = f"{trials[0]['marks'][-1]['iterations']:,}"
        yield [name, seeds(trials), iterations, *cells(trials, DISTANCES)]
    yield []
    yield ["method", *OTHERS]
    for name in ordered:
        yield [name, *cells(methods[name], OTHERS)]


def seeds(trials: list[Trial]) -> str:
    """Returns the number of seeds, and of those that diverged."""
    diverged = sum("diverged" in trial["marks"][-1] for trial in trials)
    return f"{len(trials)}, {diverged} diverged" if diverged else f"{len(trials)}"


def cells(trials: list[Trial], columns: Columns) -> list[str]:
    """Returns the scores of one method."""
    return [
        cell([value(trial) for trial in trials], form)
        for value, form in columns.values()
    ]


def main() -> int:
    """Prints the tables."""
    if len(sys.argv) == 1:
        print("| method | overrides |\n|---|---|")
        for name, fields in (METHODS | UPDATES | WEIGHTS).items():
            print(f"| {name} | `{fields}` |")
        return 0
    for found in rows(load(Path(sys.argv[1]))):
        print(f"| {' | '.join(found)} |" if found else "")
        if found[:1] == ["method"]:
            print("|---" * len(found) + "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
