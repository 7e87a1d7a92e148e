"""Draws the curves of ``curve.py``: kernel distance against minutes since the launch.

python benchmarks/recipes/curve_figure.py docs/recipes/curves.png FILE.json ...
"""

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

TITLES = {
    "cifar10_fast": "non-saturating",
    "cifar10_wgan_fast": "Wasserstein, gradient penalty",
    "fashion_mnist_fast": "non-saturating",
    "fashion_mnist_wgan_fast": "Wasserstein, gradient penalty",
}


def main() -> int:
    """Draws one figure."""
    path, *files = map(Path, sys.argv[1:])
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for index, file in enumerate(files):
        found = json.loads(file.read_text())
        title = TITLES.get(found["config"], found["config"])
        for side, style in (("ours", "o-"), ("pytorch", "s--")):
            rows = found.get(side, [])
            minutes = [row["minutes"] for row in rows]
            distances = [row["kernel_distance"] for row in rows]
            label = title if side == "ours" else f"{title}, in PyTorch"
            if rows:
                axes.plot(
                    minutes, distances, style, color=f"C{index}", label=label, ms=4
                )
    axes.set_yscale("log")
    axes.set_xlim(left=0)
    axes.set_xlabel("minutes since the launch")
    axes.set_ylabel("kernel distance (Lite0 features, 5,000 samples)")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
