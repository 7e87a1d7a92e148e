"""Tables and figure of ``metric_noise.py``, from its JSON file.

python benchmarks/metric_noise/metric_noise_figure.py docs/metric_noise.json
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from wgan_jax.metrics import compare, from_json

DISTANCES = ("frechet", "kernel", "sliced features", "sliced pixels")
HELD = DISTANCES[:3]  # those based on features
SHARES = ("1 - precision", "1 - recall", "1 - density", "1 - coverage")
OTHERS = ("inception score", "pair similarity")
UNITS = {
    "noise": "gray levels",
    "blur": "pixels",
    "classes": "kept",
    "copies": "of each image",
}
LOOKS = ("own radius", "from centre", "outside small balls")


def values_of(rows, corruption, metric):
    """Returns strengths and results of one metric; equal strengths are adjacent."""
    found = [
        row for row in rows if (row[0], row[2].protocol.metric) == (corruption, metric)
    ]
    return [row[1] for row in found], [row[2] for row in found]


def setbacks(rows, corruption, metric):
    """Returns the steps ``(weaker, stronger)`` at which a metric does not increase."""
    pairs = pairwise(zip(*values_of(rows, corruption, metric), strict=True))
    return [
        (weaker, stronger)
        for (weaker, one), (stronger, other) in pairs
        if not compare(other, one) > 0
    ]


def trend(rows, corruption, metric):
    """Returns ``grows``, ``falls``, or the steps at which a metric does not grow."""
    back = setbacks(rows, corruption, metric)
    _, results = values_of(rows, corruption, metric)
    if all(compare(other, one) < 0 for one, other in pairwise(results)):
        return "falls"
    steps = ", ".join(f"{weaker} to {stronger}" for weaker, stronger in back)
    return f"not from {steps}" if back else "grows"


def table(rows, corruption):
    """Yields a Markdown table with one row per metric and one column per strength."""
    strengths = list(dict.fromkeys(values_of(rows, corruption, "frechet")[0]))
    heads = [corruption, *(f"{s:,}" for s in strengths)]
    spoilt = corruption != "none"
    yield "| " + " | ".join(heads + ["trend"] * spoilt) + " |"
    yield "|---" * (len(heads) + spoilt) + "|"
    for metric in (*DISTANCES, *SHARES, *OTHERS, *LOOKS):
        found = list(zip(*values_of(rows, corruption, metric), strict=True))
        cells = []
        for strength in strengths:
            values = [result.value for s, result in found if s == strength]
            spread = f" ± {np.std(values, ddof=1):.2g}" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.4g}{spread}")
        if spoilt:
            cells.append(trend(rows, corruption, metric))
        yield f"| {metric} | " + " | ".join(cells) + " |"
    yield ""


def tables(rows):
    """Yields one table per corruption, and one for untouched samples."""
    for corruption in dict.fromkeys(row[0] for row in rows):
        yield from table(rows, corruption)


def load(path):
    """Reads the file written by ``save``."""
    rows = json.loads(path.read_text())["rows"]
    return [
        (row.pop("corruption"), row.pop("strength"), from_json(json.dumps(row)))
        for row in rows
    ]


def figure(rows, path):
    """Draws one panel per metric with one line per corruption, and two for bias."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawing, axes = plt.subplots(3, 4, figsize=(14, 9), layout="constrained")
    metrics = (*DISTANCES, *SHARES, *OTHERS)
    spoilt = [c for c in dict.fromkeys(row[0] for row in rows) if c != "none"]
    for axis, metric in zip(axes.flat, metrics, strict=False):
        for index, corruption in enumerate(spoilt):
            _line(rows, corruption, metric, axis, f"C{index}")
        axis.set_title(metric + {"inception score": " (high is good)"}.get(metric, ""))
        axis.set_xticks(range(7))
        axis.set_xlabel("step of the corruption", fontsize=8)
    for axis, metric in zip(axes.flat[-2:], DISTANCES, strict=False):
        sizes, results = values_of(rows, "none", metric)
        values = [result.value for result in results]
        axis.plot(sizes, values, "k.", markersize=8)
        axis.axhline(0, color="k", linewidth=0.8)
        ticks = sorted(set(sizes))
        axis.set(title=f"{metric}, untouched samples", xscale="log")
        axis.set_xticks(ticks, labels=[f"{size:,}" for size in ticks])
        axis.minorticks_off()
        axis.set_xlabel("images of each sample", fontsize=8)
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    ring = axes.flat[0].plot([], [], "o", mfc="none", color="r", markersize=9)
    handles, labels = [*handles, *ring], [*labels, "did not grow at this step"]
    drawing.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9)
    drawing.savefig(path, dpi=80)


def _line(rows, corruption, metric, axis, colour):
    strengths, results = values_of(rows, corruption, metric)
    values = [result.value for result in results]
    label = (
        f"{corruption}: {', '.join(f'{s:g}' for s in strengths)} {UNITS[corruption]}"
    )
    axis.plot(values, ".-", color=colour, label=label)
    if metric in OTHERS:
        return  # these are expected to fall with noise
    at = [strengths.index(s) for _, s in setbacks(rows, corruption, metric)]
    axis.plot(at, [values[i] for i in at], "o", mfc="none", color="r", markersize=9)


def main(path):
    """Prints the tables and draws the figure next to the file."""
    rows = load(Path(path))
    print("\n".join(tables(rows)))
    figure(rows, Path(path).with_suffix(".png"))


if __name__ == "__main__":
    main(sys.argv[1])
