"""Figures of ``reading_curves.py``, from the records of its runs."""

import json
from pathlib import Path

import numpy as np

WEIGHTS = (0.1, 1.0, 10.0, 100.0)  # of the penalty, in one sweep
BOUNDS = (0.02, 0.05, 0.1)  # of weight clipping
# Colors of Okabe and Ito, distinguishable for the color-blind; line styles for gray.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#000000")
STYLES = ("-", "--", "-.", ":")
WINDOW = 25  # records per running median


def lines(folder, file="metrics.jsonl"):
    """Reads the records of a run."""
    return [json.loads(line) for line in (folder / file).read_text().splitlines()]


def column(records, name):
    """Returns one metric of all records as an array."""
    return np.array([record[name] for record in records], np.float64)


def evaluated(folder, metric):
    """Returns iterations and values of one metric in the EMA's evaluations."""
    found = [r for r in lines(folder, "evaluations.jsonl") if r["weights"] == "ema"]
    values = [
        next(x["value"] for x in r["results"] if x["protocol"]["metric"] == metric)
        for r in found
    ]
    return column(found, "step"), np.array(values)


def smooth(records, name, window=WINDOW):
    """Returns iterations and running medians of a metric."""
    steps, values = column(records, "step"), column(records, name)
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    return steps[window // 2 :][: len(windows)], np.median(windows, axis=1)


def figures(runs, docs):
    """Draws all figures into a folder."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    for name, columns, draw in (
        ("first_run", 3, _first_run),
        ("weights", 3, _weights),
        ("held_out", 3, _held_out),
        ("trouble", 4, _trouble),
    ):
        size = (4 * columns if columns == 3 else 13, 3.6)
        drawing, axes = plt.subplots(1, columns, figsize=size, layout="constrained")
        draw(Path(runs), axes)
        for axis in axes:
            axis.grid(alpha=0.3)
            axis.set_xlabel("generator iterations")
        drawing.savefig(docs / f"reading_{name}.png", dpi=90)
        plt.close(drawing)


def _first_run(runs, axes):
    records = lines(runs / "usual")
    steps = column(records, "step")
    estimate = column(records, "critic/wasserstein_estimate")
    axes[0].plot(steps, estimate, ".", color=COLOURS[0], markersize=1.5, alpha=0.4)
    axes[0].plot(
        *smooth(records, "critic/wasserstein_estimate"),
        color=COLOURS[0],
        label="estimate, running median",
    )
    middle, loss = smooth(records, "critic/loss")
    axes[0].plot(middle, -loss, "--", color=COLOURS[1], label="minus the critic's loss")
    axes[0].set(title="the whole run", ylim=(0, 1.6))
    early = steps <= 60
    axes[1].plot(
        steps[early], estimate[early], ".-", color=COLOURS[0], label="estimate"
    )
    axes[1].plot(
        steps[early],
        -column(records, "critic/loss")[early],
        "--",
        color=COLOURS[1],
        label="minus the critic's loss",
    )
    axes[1].axhline(0, color="k", linewidth=0.8)
    axes[1].set(title="the first 60 iterations")
    norms = column(records, "critic/gradient_norm_mean")
    axes[2].plot(steps, norms, ".", color=COLOURS[2], markersize=1.5, alpha=0.4)
    axes[2].plot(*smooth(records, "critic/gradient_norm_mean"), color=COLOURS[2])
    axes[2].axhline(1, color="k", linewidth=0.8)
    axes[2].set(title="mean gradient norm of the critic", ylim=(0.9, 1.25))
    for axis in axes[:2]:
        axis.legend(fontsize=8)


def _weights(runs, axes):
    records = lines(runs / "weights")
    titles = {
        "critic/wasserstein_estimate": "raw estimate",
        "critic/wasserstein_by_penalty": "by_penalty",
        "critic/wasserstein_by_flow": "by_flow",
    }
    for axis, (metric, title) in zip(axes, titles.items(), strict=True):
        for weight, colour, style in zip(WEIGHTS, COLOURS, STYLES, strict=True):
            name = f"{metric}/penalty.weight={weight:g}"
            axis.plot(
                *smooth(records, name, 7), style, color=colour, label=f"{weight:g}"
            )
        axis.set(title=title, yscale="log", ylim=(0.1, 10))
    axes[0].legend(title="penalty weight", fontsize=8, ncols=2, loc="lower right")


def _held_out(runs, axes):
    titles = {"usual": "1,500 training examples", "few": "100 training examples"}
    for axis, (run, title) in zip(axes[:2], titles.items(), strict=True):
        for metric, label, index in (
            ("training", "its examples", 0),
            ("held_out", "held-out examples", 1),
        ):
            axis.plot(
                *evaluated(runs / run, f"critic_estimate_on_{metric}_split"),
                STYLES[index],
                marker=".",
                color=COLOURS[index],
                label=label,
            )
        axis.axhline(0, color="k", linewidth=0.8)
        axis.set(title=f"estimate, {title}")
        axis.legend(fontsize=8)
    for (run, title), colour, style in zip(
        titles.items(), COLOURS[2:], STYLES, strict=False
    ):
        values = evaluated(runs / run, "frechet_distance")
        axes[2].plot(*values, style, marker=".", color=colour, label=title)
    axes[2].set(title="Frechet distance of pixels")
    axes[2].legend(fontsize=8)


def _trouble(runs, axes):
    for axis, run, title in (
        (axes[0], "chased", "generator too fast"),
        (axes[1], "slow_critic", "critic too slow"),
        (axes[2], "no_penalty", "penalty weight 1e-6"),
    ):
        records = lines(runs / run)
        values = column(records, "critic/wasserstein_estimate")
        axis.plot(column(records, "step"), values, color=COLOURS[0], linewidth=1)
        axis.axhline(0, color="k", linewidth=0.8)
        axis.set(title=title)
    axes[2].set_yscale("symlog")
    records = lines(runs / "clipping")
    for bound, colour, style in zip(BOUNDS, COLOURS, STYLES, strict=False):
        suffix = f"/constraint.bound={bound:g}"
        name = f"critic/wasserstein_estimate{suffix}"
        steps, values = smooth(records, name, 11)
        axes[3].plot(steps, values, style, color=colour, label=f"raw, {bound:g}")
        name = f"critic/wasserstein_by_gradient_norm_at_fakes{suffix}"
        steps, values = smooth(records, name, 11)
        axes[3].plot(steps, values, style, color=colour, linewidth=3, alpha=0.4)
    axes[3].plot([], [], color="0.6", linewidth=3, label="by gradient norm at fakes")
    axes[3].set(title="clipping: raw and by gradient norm", yscale="log")
    axes[3].set_ylim(0.1, 20)
    axes[3].legend(fontsize=8, ncols=2)
