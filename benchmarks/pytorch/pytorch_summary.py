"""Medians and ratios of measured times, and lines of the table."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Times = Sequence[tuple[float, float]]  # wall-clock and CPU seconds per step


def ratio(over: Times, under: Times, kind: int = 0) -> float:
    """Returns the median ratio over pairs; of CPU seconds if ``kind`` is 1."""
    return statistics.median(
        a[kind] / b[kind] for a, b in zip(over, under, strict=True) if b[kind] > 0
    )


def median(times: Times, kind: int = 0) -> float:
    """Returns the median of the wall-clock seconds, or of CPU seconds if 1."""
    return statistics.median(t[kind] for t in times)


def summarize(
    ours: Times,
    theirs: Mapping[str, Times],
    *,
    images: int,
    operations: float,
    peaks: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    """Computes the figures of one step.

    Args:
        ours: one entry per round.
        theirs: one entry per round for each form of PyTorch.
        images: images per step.
        operations: operations of matrix products in our step.
        peaks: operations per second of a matrix product in the precision of the
            networks, by library, one entry per round. The best library of each
            round defines the machine's peak in that round.

    Returns:
        The figures. ``ratio`` is PyTorch's time over ours, in the form with the
        smallest median: above 1, ours is faster.
    """
    form = min(theirs, key=lambda name: median(theirs[name]))
    best = theirs[form]
    return {
        "form": form,
        "ratio": ratio(best, ours),
        "ratio_range": [
            extreme(b[0] / a[0] for a, b in zip(ours, best, strict=True))
            for extreme in (min, max)
        ],
        "cpu_ratio": ratio(best, ours, 1),
        "ratio_by_form": {name: ratio(times, ours) for name, times in theirs.items()},
        "ms": 1e3 * median(ours),
        "pytorch_ms": 1e3 * median(best),
        "cpu_ms": 1e3 * median(ours, 1),
        "pytorch_cpu_ms": 1e3 * median(best, 1),
        "images_per_second": images / median(ours),
        "pytorch_images_per_second": images / median(best),
        "operations": operations,
        "share_of_peak": statistics.median(
            operations / wall / max(peak.values())
            for (wall, _), peak in zip(ours, peaks, strict=True)
        ),
        "times": {"ours": ours, **theirs},
    }


def penalty_cost(times: Mapping[str, Mapping[str, Times]]) -> dict[str, float]:
    """Returns the time of the critic step with penalty over that without, by side.

    Args:
        times: times by step (including ``plain`` and ``penalty``) and side.

    Returns:
        Medians over the rounds, by side.
    """
    return {
        side: ratio(times["penalty"][side], times["plain"][side])
        for side in times["penalty"]
        if side in times["plain"]
    }


NAME = 18  # width of the column with network and precision
HEADER = (
    f"{'network':{NAME}} {'step':22} {'ours ms':>9} {'torch ms':>9}  {'form':13}"
    f"{'ratio':>6} {'(range)':>13} {'images/s':>9} {'torch':>9}"
    f" {'CPU ms':>8} {'torch':>8} {'of peak':>8}"
)


def line(network: str, step: str, figures: Mapping[str, Any]) -> str:
    """Formats the figures of a step under ``HEADER``."""
    f = figures
    low, high = f["ratio_range"]
    return (
        f"{network:{NAME}} {step:22} {f['ms']:9.2f} {f['pytorch_ms']:9.2f}"
        f"  {f['form']:13}{f['ratio']:6.2f} {f'({low:.2f}-{high:.2f})':>13}"
        f" {f['images_per_second']:9.0f} {f['pytorch_images_per_second']:9.0f}"
        f" {f['cpu_ms']:8.2f} {f['pytorch_cpu_ms']:8.2f} {f['share_of_peak']:8.2f}"
    )


def memory_line(network: str, side: str, found: Mapping[str, int | None]) -> str:
    """Formats the peak memory of a side's step in MB."""
    steps, process = found["steps"], found["process"]
    stepping = "unknown" if steps is None else f"{steps / 1e6:.0f} MB"
    return (
        f"{network:{NAME}} {side:22} {stepping} while stepping, "
        f"{(process or 0) / 1e6:.0f} MB with compiling"
    )
