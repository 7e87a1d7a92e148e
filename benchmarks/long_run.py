"""Memory, open files and threads of a long run with all of its side tasks.

    python benchmarks/long_run.py --json docs/long_run.json --figure docs/long_run.png
    python benchmarks/long_run.py --from docs/long_run.json --figure docs/long_run.png

A small run of the digits trains in a process of its own, with frequent previews,
checkpoints and evaluations. Every second, this script reads the process's resident
memory, open files and threads from ``/proc`` (Linux), and prints how they change
over the second half of the run, where buffers and caches are full. Without
``--figure``, matplotlib is not needed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

ROOT = Path(__file__).parents[1]
SECONDS = 1.0  # between two readings
KEPT = 400  # readings in the JSON file
EVERY = {"samples": 50, "checkpoint": 100, "evaluation": 500, "log": 10}
FIELDS = {
    "generator.width": 16,
    "critic.width": 16,
    "training.batch_size": 16,
    "training.n_critic": 2,
    "samples.count": 16,
    "evaluation.count": 200,
    "evaluation.measures": "('frechet','kernel','held_out')",
    **{f"{name}.every": every for name, every in EVERY.items()},
}


def reading(pid: int) -> dict[str, float]:
    """Returns resident memory in MiB, open files and threads of a process."""
    status = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return {
        "memory": int(status["VmRSS"].split()[0]) / 1024,
        "files": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
    }


def iteration_of(metrics: Path) -> int:
    """Returns the iteration of the last complete line of ``metrics.jsonl``."""
    if not metrics.exists():
        return 0
    with metrics.open("rb") as stream:
        stream.seek(max(0, metrics.stat().st_size - 4096))
        lines = [line for line in stream.read().split(b"\n")[1:-1] if line]
    return json.loads(lines[-1])["step"] if lines else 0


def observe(iterations: int) -> dict[str, Any]:
    """Trains, and returns the readings by iteration and the settings."""
    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder, "run")
        fields = FIELDS | {"training.iterations": iterations}
        command = [sys.executable, "launch.py", "--config=configs/digits_wgan_gp.py"]
        command += [f"--config.{name}={value}" for name, value in fields.items()]
        began = time.monotonic()
        with Path(folder, "log").open("w") as log:
            process = subprocess.Popen(
                [*command, f"--workdir={workdir}"], cwd=ROOT, stdout=log, stderr=log
            )
            while process.poll() is None:
                try:
                    row = reading(process.pid)
                except (OSError, KeyError):  # it has just ended
                    break
                step = iteration_of(workdir / "metrics.jsonl")
                found.append({"seconds": time.monotonic() - began, "step": step, **row})
                time.sleep(SECONDS)
            if process.wait():
                sys.exit(Path(folder, "log").read_text())
        counts = {
            "previews": len(list((workdir / "samples").glob("step_*[0-9].png"))),
            "evaluations": sum(1 for _ in (workdir / "evaluations.jsonl").open()),
        }
    stride = -(-len(found) // KEPT)
    rows = [{name: round(x, 1) for name, x in row.items()} for row in found[::stride]]
    return {
        "machine": describe_machine(),
        "iterations": iterations,
        "fields": fields,
        **counts,
        "summary": summary(found, iterations),
        "readings": rows,
    }


def summary(rows: list[dict[str, float]], iterations: int) -> dict[str, Any]:
    """Returns how the readings change in the second half of the training."""
    last = max(row["step"] for row in rows)
    half = [row for row in rows if iterations / 2 <= row["step"] < last]
    steps = np.array([row["step"] for row in half])
    result: dict[str, Any] = {"readings": len(rows)}
    for name in ("memory", "files", "threads"):
        values = np.array([row[name] for row in half])
        result[name] = {
            "median": float(np.median(values)),
            "largest": float(values.max()),
            "per_1000_iterations": round(1000 * np.polyfit(steps, values, 1)[0], 4),
        }
    return result


def draw(found: dict[str, Any], path: str) -> None:
    """Draws memory, open files and threads by iteration."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
    titles = {
        "memory": "resident memory (MiB)",
        "files": "open files",
        "threads": "threads",
    }
    rows = [row for row in found["readings"] if row["step"]]
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        axis.plot([r["step"] for r in rows], [r[name] for r in rows], linewidth=1)
        axis.set(title=title, xlabel="iteration", ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Observes a run or reads an earlier record, prints it and draws it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=20_000)
    parser.add_argument("--json", help="file to write the readings to")
    parser.add_argument("--figure", help="file to draw them to")
    parser.add_argument("--from", dest="record", help="draw this JSON file again")
    options = parser.parse_args()
    if options.record:
        found = json.loads(Path(options.record).read_text())
    else:
        found = observe(options.iterations)
    print(json.dumps({k: v for k, v in found.items() if k != "readings"}, indent=1))
    if options.json:
        Path(options.json).write_text(json.dumps(found) + "\n")
    if options.figure:
        draw(found, options.figure)


if __name__ == "__main__":
    main()
