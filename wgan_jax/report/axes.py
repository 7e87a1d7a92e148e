"""What the horizontal axis of the charts can show instead of iterations."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from wgan_jax.report.run import Run
from wgan_jax.schedules import CriticSchedule

_POINTS = 400  # of a table; the page interpolates between them
AXES = {"steps": "iterations", "images": "images seen", "seconds": "wall-clock time"}


def axis_tables(runs: Sequence[Run]) -> dict[str, list[list[list[float]]]]:
    """Returns tables that convert iterations to the values of other axes.

    Args:
        runs: the runs of the page.

    Returns:
        For each axis that all runs have, and each run, ascending iterations and
        their values: images seen by the critic, and seconds in training.
    """
    images = [_images(run) for run in runs]
    seconds = [_seconds(run) for run in runs]
    found = {"images": images, "seconds": seconds}
    return {
        name: [table for table in tables if table]
        for name, tables in found.items()
        if all(tables)
    }


def images_seen(run: Run, step: int) -> int | None:
    """Returns the real examples in all critic updates of a run before an iteration.

    Args:
        run: a run.
        step: number of completed iterations.

    Returns:
        The number, for each replica; None if the config does not say.
    """
    config = run.config
    names = ("n_critic", "boosted_n_critic", "boosted_first", "boosted_every")
    fields: dict[str, Any] = {k: config.get(f"training.{k}") for k in names}
    batch: Any = config.get("training.batch_size")
    try:
        return int(CriticSchedule(**fields).updates_before(step) * batch)
    except (TypeError, ValueError):
        return None


def _images(run: Run) -> list[list[float]] | None:
    steps = _thin(np.unique(np.concatenate([s.steps for s in run.series.values()])))
    counts = [images_seen(run, int(step)) for step in steps]
    known = [float(count) for count in counts if count is not None]
    return [steps.tolist(), known] if len(known) == len(counts) else None


def _seconds(run: Run) -> list[list[float]] | None:
    if run.clock is None:
        return None
    steps = np.concatenate([[0], run.clock.steps])
    places = _thin(np.arange(len(steps)))
    seconds = np.concatenate([[0.0], run.clock.seconds])[places]
    return [steps[places].tolist(), seconds.round(2).tolist()]


def _thin(values: np.ndarray) -> np.ndarray:
    if len(values) <= _POINTS:
        return values
    return values[np.linspace(0, len(values) - 1, _POINTS).round().astype(int)]
