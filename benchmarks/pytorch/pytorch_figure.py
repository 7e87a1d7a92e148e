"""Figure of ``pytorch.py``, from its JSON file.

python benchmarks/pytorch/pytorch_figure.py FILE.json
"""

import json
import sys
from pathlib import Path
from typing import Any

COLOURS = ("#999999", "#56B4E9", "#009E73", "#D55E00")  # of Okabe and Ito


def texts(content: dict[str, Any]) -> tuple[list[str], str]:
    """Returns the labels of the bar groups, precision below the name, and the title."""
    about, arguments = content["about"], content["arguments"]
    precisions = arguments.get("precision", ["float32"])  # missing in older files
    title = (
        f"{about['device']}, {about['threads']} threads, {' and '.join(precisions)}, "
        f"batch {arguments['batch']}"
    )
    return [name.replace(", ", "\n") for name in content["networks"]], title


def figure(content: dict[str, Any], path: Path) -> None:
    """Draws bars of PyTorch's time over ours, grouped by network.

    Args:
        content: content of the file.
        path: path of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    networks = content["networks"]
    steps = list(dict.fromkeys(s for n in networks.values() for s in n["steps"]))
    drawing, axis = plt.subplots(figsize=(max(5.5, 1.5 + 2.2 * len(networks)), 3.6))
    width = 0.8 / len(steps)
    for index, step in enumerate(steps):
        places, heights, below, above = [], [], [], []
        for place, network in enumerate(networks.values()):
            if step not in network["steps"]:
                continue
            found = network["steps"][step]
            low, high = found["ratio_range"]
            places.append(place + (index - (len(steps) - 1) / 2) * width)
            heights.append(found["ratio"])
            below.append(found["ratio"] - low)
            above.append(high - found["ratio"])
        bars = axis.bar(
            places,
            heights,
            width,
            yerr=(below, above),
            label=step,
            color=COLOURS[index % len(COLOURS)],
            error_kw={"linewidth": 0.8},
        )
        axis.bar_label(bars, fmt="%.2f", fontsize=7, padding=2)
    axis.axhline(1, color="black", linewidth=0.8)
    names, title = texts(content)
    axis.set_xticks(range(len(networks)), names)
    axis.set_ylabel("PyTorch's time / ours")
    axis.set_title(title, fontsize=9)
    axis.legend(fontsize=8)
    drawing.tight_layout()
    drawing.savefig(path, dpi=120)
    plt.close(drawing)


def main(path: str) -> None:
    """Draws the figure next to the file."""
    figure(json.loads(Path(path).read_text()), Path(path).with_suffix(".png"))


if __name__ == "__main__":
    main(sys.argv[1])
