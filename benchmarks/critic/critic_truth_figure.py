"""Tables and figure of ``critic_truth.py``, from its JSON file.

python benchmarks/critic/critic_truth_figure.py docs/critic_truth.json
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from wgan_jax.losses.estimators import extrapolated_estimate

READINGS = ("raw", "closed form", "flow", "gradient norm", "maximum")
BAND = (0.97, 1.03)  # range of a good estimate, relative to W1


def name(row):
    """Returns the name of the method in the tables."""
    return f"{row['kind']} {row['weight']:g}" if row["weight"] else row["kind"]


def parts(content, row, reading):
    """Returns an estimate of each seed, relative to the exact distance."""
    exact = content["exact"][row["pair"]]["w1"]
    return np.array(row["readings"][reading]) / exact


def text(values):
    """Formats mean and standard deviation over seeds."""
    spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return f"{np.mean(values):.3f} ± {spread:.3f}"


def table(content):
    """Yields the results as Markdown, relative to exact W1."""
    head = " | ".join(READINGS)
    yield f"| pair (W1) | method | updates | {head} |"
    yield "|---" * (3 + len(READINGS)) + "|"
    for row in content["rows"]:
        exact = content["exact"][row["pair"]]["w1"]
        cells = [f"{row['pair']} ({exact:.3f})", name(row), str(row["steps"])]
        for reading in READINGS:
            known = reading in row["readings"]
            cells.append(text(parts(content, row, reading)) if known else "")
        yield "| " + " | ".join(cells) + " |"


def distances(content):
    """Yields the exact distances as Markdown."""
    yield "| pair | W1 between samples | with half the sample size | known W1 |"
    yield "|---|---|---|---|"
    for pair, exact in content["exact"].items():
        known = "" if exact["known"] is None else f"{exact['known']:g}"
        whole = f"{exact['w1']:.4f} ± {exact['error']:.4f}"
        yield f"| {pair} | {whole} | {exact['half_size']:.4f} | {known} |"


def tables(content):
    """Yields all three tables."""
    for part in (distances, table, extrapolations):
        yield from part(content)
        yield ""


def extrapolations(content):
    """Yields estimates extrapolated from two weights as Markdown, relative to W1."""
    yield "| pair | kind | weights | extrapolated |"
    yield "|---|---|---|---|"
    for one, other in pairwise(content["rows"]):
        weights = one["weight"], other["weight"]
        if min(weights) == 0 or any(one[k] != other[k] for k in ("pair", "kind")):
            continue
        if one["steps"] == other["steps"]:
            raw = tuple(parts(content, row, "raw") for row in (one, other))
            found = text(np.asarray(extrapolated_estimate(raw, weights=weights)))
            weights = f"{weights[0]:g} and {weights[1]:g}"
            yield f"| {one['pair']} | {one['kind']} | {weights} | {found} |"


def figure(content, path):
    """Draws raw estimates, corrected estimates and longer training."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawing, axes = plt.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    panels = dict(zip(READINGS, axes.flat, strict=False))
    for index, pair in enumerate(content["exact"]):
        rows = [row for row in content["rows"] if row["pair"] == pair]
        rows = [row for row in rows if row["kind"] == "GP"]
        rows = [row for row in rows if row["steps"] == content["settings"]["steps"]]
        _raw(content, pair, rows, panels["raw"], f"C{index}")
        for reading in READINGS[1:]:
            _reading(content, reading, rows, panels[reading], f"C{index}")
    panels["raw"].set(title="raw estimate, and W + W²/(2w)", yscale="log")
    panels["raw"].legend(fontsize=7)
    for axis in panels.values():
        axis.set(xlabel="weight w of the gradient penalty", xscale="log")
    _longer(content, axes.flat[-1])
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        if axis is not panels["raw"]:
            axis.axhspan(*BAND, color="k", alpha=0.08)
            axis.set_ylim(0.4, 1.2)
    drawing.savefig(path, dpi=90)


def _raw(content, pair, rows, axis, colour):
    exact = content["exact"][pair]["w1"]
    weights = np.geomspace(0.07, 140, 50)
    axis.plot(weights, exact + exact**2 / (2 * weights), color=colour, linewidth=0.8)
    for row in rows:
        values = row["readings"]["raw"]
        axis.plot([row["weight"]] * len(values), values, ".", color=colour)
    axis.plot([], [], ".-", color=colour, label=f"{pair}, W = {exact:.3f}")


def _reading(content, reading, rows, axis, colour):
    values = np.array([parts(content, row, reading) for row in rows])
    if len(values):
        weights = [row["weight"] for row in rows]
        mean, spread = values.mean(1), values.std(1)
        axis.errorbar(weights, mean, spread, fmt=".-", color=colour, linewidth=1)
    axis.set_title(f"{reading} reading, as a part of W1")


def _longer(content, axis):
    """Draws the closed form over training length, where several were run."""
    usual = content["settings"]["steps"]
    varied = [row for row in content["rows"] if row["steps"] != usual]
    for pair, method in dict.fromkeys((row["pair"], name(row)) for row in varied):
        rows = [r for r in content["rows"] if (r["pair"], name(r)) == (pair, method)]
        values = np.array([parts(content, row, "closed form") for row in rows])
        steps = [row["steps"] for row in rows]
        axis.errorbar(
            steps, values.mean(1), values.std(1), fmt=".-", label=f"{pair}, {method}"
        )
    axis.set(title="closed form, trained longer", xlabel="updates of the critic")
    axis.set_xscale("log")
    if varied:
        ticks = sorted({row["steps"] for row in varied} | {usual})
        axis.set_xticks(ticks, labels=[f"{steps:,}" for steps in ticks])
        axis.minorticks_off()
        axis.legend(fontsize=7)


def main(path):
    """Prints the tables and draws the figure next to the file."""
    content = json.loads(Path(path).read_text())
    print("\n".join(tables(content)))
    figure(content, Path(path).with_suffix(".png"))


if __name__ == "__main__":
    main(sys.argv[1])
