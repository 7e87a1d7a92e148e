"""Overlap of the device and the program's threads, from a profiler trace.

    python benchmarks/overlap.py --config=configs/cifar10_wgan_gp.py \
        --config.dataset.data_dir=DIR --iterations=12 --json=out.json

It trains a new run under JAX's profiler, with a preview and a checkpoint in the
middle. From the trace, it reads when the device ran compiled programs, and when
the program's threads prepared data, processed metrics, drew previews and saved
checkpoints. It prints the fraction of time between the first batch and the last
step in which the device was busy, and the time of each other activity. With
``--json``, it writes both and a picture of the timeline.
"""

import argparse
import contextlib
import functools
import io
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from config_arguments import parse_arguments
from jax.profiler import ProfileData, TraceAnnotation

from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.data import pipeline
from wgan_jax.program.recorder import Recorder
from wgan_jax.program.setup import Experiment
from wgan_jax.program.train import train
from wgan_jax.program.workdir import Workdir

# What is traced: (owner, method, name in the trace).
PARTS = [
    (pipeline.Pipeline, "batch", "data: prepare a batch"),
    (Experiment, "put", "data: to the device"),
    (Recorder, "iterations", "metrics: wait and write"),
    (Recorder, "samples", "preview"),
    (Checkpoints, "save", "checkpoint: begin to save"),
]
DEVICE = "device: compiled programs"
NAMES = [DEVICE, *(name for _, _, name in PARTS)]
# A whole program in the trace: an event on a CPU, a line on an accelerator.
ON_CPU, ON_ACCELERATORS = "ThunkExecutor::Execute (wait for completion)", "XLA Modules"

Span = tuple[float, float]


def annotate() -> None:
    """Annotates each part in the trace."""
    for owner, method, name in PARTS:
        function = getattr(owner, method)

        def named(*args: Any, _f: Any = function, _n: str = name, **rest: Any) -> Any:
            with TraceAnnotation(_n):
                return _f(*args, **rest)

        setattr(owner, method, functools.wraps(function)(named))


def spans(folder: Path) -> dict[str, list[Span]]:
    """Returns begin and end of every part in seconds, by name."""
    (file,) = folder.rglob("*.xplane.pb")
    found: dict[str, list[Span]] = {name: [] for name in NAMES}
    for plane in ProfileData.from_file(str(file)).planes:
        device = plane.name.startswith("/device:")
        for row in plane.lines:
            for event in row.events:
                name = event.name
                if name == ON_CPU or (device and row.name == ON_ACCELERATORS):
                    name = DEVICE
                if name in found:
                    begin = event.start_ns / 1e9
                    found[name].append((begin, begin + event.duration_ns / 1e9))
    return found


def union(parts: Iterable[Span]) -> list[Span]:
    """Merges overlapping spans."""
    merged: list[Span] = []
    for begin, end in sorted(parts):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged


def total(parts: Iterable[Span]) -> float:
    """Returns the seconds in the union of spans."""
    return sum(end - begin for begin, end in union(parts))


def draw(found: dict[str, list[Span]], first: float, last: float, path: Path) -> None:
    """Draws the timeline."""
    figure, axes = plt.subplots(figsize=(11, 3), layout="constrained")
    for row, parts in enumerate(found.values()):
        bars = [(a - first, b - a) for a, b in parts]
        axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=f"C{row}")
    axes.set_yticks(range(len(found)), list(found))
    axes.invert_yaxis()
    axes.set_xlim(0, last - first)
    axes.set_xlabel("seconds since the first batch")
    figure.savefig(path, dpi=100)


def main(argv: list[str]) -> None:
    """Trains, reads the trace and prints the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--iterations", type=int, default=12, help="number of iterations"
    )
    parser.add_argument("--json", type=Path, help="output file")
    options, config, _ = parse_arguments(parser)
    annotate()
    with tempfile.TemporaryDirectory() as folder, config.unlocked():
        config.training.iterations = options.iterations
        config.evaluation.every = 0
        config.checkpoint.every = config.samples.every = options.iterations // 2
        # Tracing Python calls would fill the trace and slow down what is measured.
        quiet = jax.profiler.ProfileOptions()
        quiet.python_tracer_level = 0
        workdir = Workdir(Path(folder, "run"))
        with (
            jax.profiler.trace(folder, profiler_options=quiet),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            train(config, workdir, command="benchmark", log=lambda line: None)
        found = spans(Path(folder))
    # From the first batch, excluding the final checkpoint.
    first = min(begin for begin, _ in found["data: to the device"])
    last = max(end for _, end in found["metrics: wait and write"])
    inside = {
        name: [
            (max(a, first), min(b, last)) for a, b in parts if b > first and a < last
        ]
        for name, parts in found.items()
    }
    seconds = {name: total(parts) for name, parts in inside.items()}
    busy = seconds[DEVICE] / (last - first)
    print(f"the device was busy in {busy:.1%} of {last - first:.2f} s")
    for name in NAMES[1:]:
        print(f"{name:26} {seconds[name]:6.2f} s in {len(inside[name])} calls")
    if options.json:
        content = {"busy": busy, "seconds": seconds, "window": last - first}
        Path(options.json).write_text(json.dumps(content, indent=2) + "\n")
        draw(inside, first, last, Path(options.json).with_suffix(".png"))


if __name__ == "__main__":
    main()
