"""Tables and figure of ``critic_surfaces.py``, from its JSON file.

python benchmarks/critic/critic_surfaces_figure.py docs/critic_surfaces.json
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from critic_surfaces_layers import EDGES
from PIL import Image

from wgan_jax.data import load_source

TITLES = {
    "gaussians8": "8 Gaussians",
    "gaussians25": "25 Gaussians",
    "swiss_roll": "Swiss roll",
}
# Colors of Okabe and Ito, distinguishable for the color-blind.
COLOURS = {
    ("GP", 10.0): "#000000",
    ("clipping", 0.1): "#D55E00",
    ("clipping", 0.01): "#0072B2",
    ("clipping", 0.001): "#009E73",
}
POINTS = "#D55E00"
EXTENT, SHOWN = 2.0, 600  # half side of the plotted plane, and number of data points


def rows(content, part, **wanted):
    """Returns the rows of one part with these values."""
    found = [row for row in content["rows"] if row["part"] == part]
    return [r for r in found if all(r[k] == v for k, v in wanted.items())]


def name(row):
    """Returns the name of the method in the tables."""
    return f"{row['kind']} {row['value']:g}"


def tables(content):
    """Yields all tables."""
    for part in (toys, lines, deep):
        yield from part(content)
        yield ""


def toys(content):
    """Yields estimates between toys and noisy points, relative to exact W1."""
    kinds = ("raw", "closed form", "gradient norm", "maximum")
    head = " | ".join(kinds)
    yield f"| pair (W1) | method | mean gradient norm | {head} |"
    yield "|---" * (3 + len(kinds)) + "|"
    for row in rows(content, "toys"):
        exact, found = content["exact"][row["pair"]]["w1"], row["readings"]
        cells = [f"{TITLES[row['pair']]} ({exact:.3f})", name(row)]
        cells.append(f"{found['mean_norm']:.3f}")
        cells += [f"{found[k] / exact:.3f}" if k in found else "" for k in kinds]
        yield "| " + " | ".join(cells) + " |"


def lines(content):
    """Yields estimates between two lines, by their distance."""
    thetas = sorted({row["theta"] for row in rows(content, "lines")})
    yield "| reading | " + " | ".join(f"{theta:g}" for theta in thetas) + " |"
    yield "|---" * (1 + len(thetas)) + "|"
    for kind, reading in LINES:
        found = _line(content, kind, reading)
        kind = "original GAN" if kind == "minimax" else kind
        yield f"| {kind}, {reading} | " + " | ".join(f"{x:.3f}" for x in found) + " |"


LINES = (
    ("GP", "raw"),
    ("GP", "closed form"),
    ("clipping", "raw"),
    ("clipping", "gradient norm"),
    ("minimax", "divergence"),
)


def _line(content, kind, reading):
    found = sorted(rows(content, "lines", kind=kind), key=lambda row: row["theta"])
    return [row["readings"][reading] for row in found]


def deep(content):
    """Yields gradient norms, weights and estimates of the deep critics."""
    yield (
        "| method | initial weights | gradient norm at the points, before training "
        "| after | within 5 % of the bound, before training | after | maximum |"
    )
    yield "|---" * 7 + "|"
    exact = content["exact"]["swiss_roll"]["w1"]
    for row in rows(content, "deep"):
        cells = [name(row), "scaled into the box" if row["inside"] else "as drawn"]
        cells += [
            f"{row[key][0]:.2g}"
            for key in ("gradient_norms_first", "gradient_norms_last")
        ]
        ends = [row[key].get("at_ends") for key in ("weights_first", "weights_last")]
        cells += ["" if part is None else f"{100 * part:.1f} %" for part in ends]
        known = "readings" in row
        cells.append(f"{row['readings']['maximum'] / exact:.3f}" if known else "")
        yield "| " + " | ".join(cells) + " |"


def figure(content, path):
    """Draws level sets above, and deep critics and lines below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawing, axes = plt.subplots(3, 3, figsize=(12, 11.4), layout="constrained")
    for line, kind in zip(axes, ("clipping", "GP"), strict=False):
        for axis, toy in zip(line, TITLES, strict=True):
            _surface(content, toy, kind, axis)
    _gradient_norms(content, axes[2, 0])
    _weights(content, axes[2, 1])
    _lines(content, axes[2, 2])
    drawing.savefig(path, dpi=90)
    # Smoothed level sets have thousands of colors; 256 are enough and make smaller
    # files.
    picture = Image.open(path).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


def _surface(content, toy, kind, axis):
    row = rows(content, "toys", pair=toy, kind=kind)[0]
    levels = np.array(row["surface"]["levels"])
    grid = np.linspace(-EXTENT, EXTENT, len(levels))
    # Equal steps of the score, over its range in the plotted square.
    axis.contourf(
        grid, grid, levels, np.linspace(0, 999, 19), cmap="Blues_r", alpha=0.6
    )
    axis.contour(
        grid, grid, levels, np.linspace(0, 999, 19), colors="#08306b", linewidths=0.7
    )
    points = load_source(toy, split="test", size=SHOWN).images
    axis.plot(*points.T, ".", color=POINTS, markersize=2.5)
    exact = content["exact"][toy]["w1"]
    part = row["readings"]["maximum"] / exact
    axis.set_title(f"{TITLES[toy]}, {name(row)}: bound {part:.2f} W1", fontsize=11)
    axis.set_aspect("equal")
    axis.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), xticks=[], yticks=[])


def _gradient_norms(content, axis):
    for row in rows(content, "deep", inside=False):
        colour, norms = COLOURS[row["kind"], row["value"]], row["gradient_norms_last"]
        numbers = np.arange(len(norms))
        axis.plot(numbers, norms, ".-", color=colour, label=name(row))
        axis.plot(numbers, row["gradient_norms_first"], ":", color=colour, linewidth=1)
    axis.plot([], [], ":", color="k", label="before training")
    axis.set(yscale="log", xlabel="hidden layers below")
    axis.set_title("gradient norm in each layer's input")
    axis.set_xticks(range(0, 13, 2))
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)


def _weights(content, axis):
    kinds = (
        ("GP", 10.0, False, "GP 10", "-"),
        ("clipping", 0.1, False, "clipping 0.1, weights as drawn", "-"),
        ("clipping", 0.1, True, "clipping 0.1, scaled into the box", "--"),
    )
    for kind, value, inside, label, style in kinds:
        row = rows(content, "deep", kind=kind, value=value, inside=inside)[0]
        for key, width in (("weights_last", 1.5), ("weights_first", 0.7)):
            density = np.array(row[key]["parts"]) / np.diff(EDGES)
            axis.stairs(
                density,
                EDGES,
                color=COLOURS[kind, value],
                linestyle=style if key == "weights_last" else ":",
                linewidth=width,
                label=label if key == "weights_last" else None,
            )
    axis.set(yscale="log", title="density of the weights", xlabel="weight")
    axis.set_ylim(0.1, 400)
    axis.legend(fontsize=8, loc="upper center")
    axis.grid(alpha=0.3)


def _lines(content, axis):
    thetas = sorted({row["theta"] for row in rows(content, "lines")})
    axis.plot(thetas, np.abs(thetas), color="0.7", linewidth=5, label="W1")
    axis.axhline(np.log(2), color="#56B4E9", linewidth=1, linestyle="--")
    shown = (
        ("GP", "raw", "x", "GP 10, raw", "#000000"),
        ("GP", "closed form", ".-", "GP 10, closed form", "#000000"),
        ("clipping", "gradient norm", "+", "clipping, by gradient norm", "#D55E00"),
        ("minimax", "divergence", "s", "original GAN: JS divergence", "#56B4E9"),
    )
    for kind, reading, style, label, colour in shown:
        values = _line(content, kind, reading)
        axis.plot(thetas, values, style, color=colour, markersize=6, label=label)
    axis.set(title="two parallel lines", xlabel="theta", ylim=(-0.05, 1.6))
    axis.legend(fontsize=8, loc="upper center")
    axis.grid(alpha=0.3)


def main(path):
    """Prints the tables and draws the figure next to the file."""
    content = json.loads(Path(path).read_text())
    print("\n".join(tables(content)))
    figure(content, Path(path).with_suffix(".png"))


if __name__ == "__main__":
    main(sys.argv[1])
