"""Draws the curves of a run's ``metrics.jsonl`` (needs ``pip install matplotlib``).

python docs/plot_curves.py runs/cifar10_wgan_gp docs/cifar10_wgan_gp_curves.png
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

PANELS = {
    "Wasserstein estimate": "critic/wasserstein_estimate",
    "mean gradient norm at interpolates": "critic/gradient_norm_mean",
    "weighted penalty": "critic/penalty",
}
WINDOW = 15  # logged points under one median


def main(run: str, out: str) -> None:
    """One panel a metric: each logged point, and a running median."""
    lines = [json.loads(x) for x in Path(run, "metrics.jsonl").read_text().splitlines()]
    steps = np.array([line["step"] for line in lines])
    figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 3.2), layout="constrained")
    for axis, (title, name) in zip(axes, PANELS.items(), strict=True):
        values = np.array([line[name] for line in lines])
        axis.plot(steps, values, ".", markersize=2, alpha=0.4)
        windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW)
        middle = steps[WINDOW // 2 : WINDOW // 2 + len(windows)]
        axis.plot(middle, np.median(windows, axis=1), linewidth=1.5)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("generator iterations")
        axis.set_ylim(0, np.quantile(values, 0.99) * 1.1)
        axis.grid(alpha=0.3)
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
