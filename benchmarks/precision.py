"""Quality of training in bfloat16 compared with float32, over several seeds.

    python benchmarks/precision.py --json=docs/precision.json [--data_dir=TFDS_DATA_DIR]
    python benchmarks/precision.py --page=docs/precision.json

The first command trains each of ``RUNS`` with ``launch.py``, with every seed in
both precisions, one after the other. It stores the scores of the generator's
EMA at the last iteration. An existing file is continued, so an interrupted
benchmark loses at most one run. The second command prints the table of such a
file.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from wgan_jax.networks.onednn_support import processor

ROOT = Path(__file__).parents[1]
PRECISIONS = ("float32", "bfloat16")
SEEDS = (0, 1, 2)
MEASURES = ("frechet_distance", "kernel_distance")
# Config and overrides by name.
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "digits": ("configs/digits_wgan_gp.py", {"evaluation.every": 2_000}),
    # Two critic updates instead of five, so that a run takes minutes.
    "Fashion-MNIST": (
        "configs/fashion_mnist_wgan_gp.py",
        {
            "training.iterations": 600,
            "training.n_critic": 2,
            "training.ema_decay": 0.99,
            "optimizer.generator.learning_rate": 2e-4,
            "optimizer.critic.learning_rate": 4e-4,
            "evaluation.every": 600,
            "evaluation.count": 2_000,
            "evaluation.measures": "('frechet','kernel')",
        },
    ),
}
QUIET = {"samples.every": 1_000_000, "checkpoint.every": 1_000_000}


def scores(
    config: str, fields: dict[str, Any], precision: str, seed: int
) -> dict[str, float]:
    """Trains once; returns the final scores by measure, and the wall-clock seconds."""
    fields = fields | QUIET | {"training.compute_dtype": precision, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder, "run")
        command = [sys.executable, "launch.py", f"--config={config}"]
        command += [f"--workdir={workdir}"]
        command += [f"--config.{name}={value}" for name, value in fields.items()]
        began = time.time()
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"{command} exited with status {done.returncode}: {done.stderr}"
            )
        last = json.loads((workdir / "evaluations.jsonl").read_text().splitlines()[-1])
    values = {r["protocol"]["metric"]: r["value"] for r in last["results"]}
    return {name: values[name] for name in MEASURES} | {"seconds": time.time() - began}


def measure(path: Path, names: list[str], data_dir: str | None) -> dict[str, Any]:
    """Performs the missing runs, updating the file after each; returns its content."""
    architecture, model, _ = processor().split("\n")
    content: dict[str, Any] = {"processor": model or architecture}
    content["jax"] = version("jax")
    if path.is_file():
        content = json.loads(path.read_text())
    runs = content.setdefault("runs", {})
    for name in names:
        config, fields = RUNS[name]
        if data_dir is not None and name != "digits":  # digits are in the package
            fields = fields | {"dataset.data_dir": data_dir}
        for seed in SEEDS:
            for precision in PRECISIONS:
                kept = runs.setdefault(name, {}).setdefault(precision, {})
                if str(seed) in kept:
                    continue
                kept[str(seed)] = found = scores(config, fields, precision, seed)
                path.write_text(json.dumps(content, indent=1) + "\n")
                print(name, precision, seed, found, flush=True)
    return content


def table(content: dict[str, Any]) -> list[str]:
    """Returns Markdown rows with mean and range over the seeds of each precision."""
    lines = [
        "| dataset | metric | float32, mean (range) | bfloat16, mean (range) | "
        "difference / range |",
        "|---|---|---|---|---|",
    ]
    for name, runs in content["runs"].items():
        for metric in MEASURES:
            cells, values = [], []
            for precision in PRECISIONS:
                found = [run[metric] for run in runs[precision].values()]
                values.append(found)
                mean = statistics.mean(found)
                cells.append(f"{mean:.4g} ({min(found):.4g} to {max(found):.4g})")
            lines.append(
                f"| {name} | {metric.replace('_', ' ')} | {cells[0]} | {cells[1]} "
                f"| {difference(*values):+.2f} |"
            )
    return lines


def difference(float32: list[float], bfloat16: list[float]) -> float:
    """Returns bfloat16 minus float32 in the mean, divided by the larger range."""
    spread = max(max(f) - min(f) for f in (float32, bfloat16))
    return (statistics.mean(bfloat16) - statistics.mean(float32)) / spread


def main() -> None:
    """Measures, or prints an existing file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="file to write or to extend")
    parser.add_argument(
        "--page", type=Path, help="existing file whose tables are printed"
    )
    parser.add_argument("--data_dir", help="folder of prepared tfds data")
    parser.add_argument(
        "--only", choices=list(RUNS), nargs="+", default=list(RUNS), help="datasets"
    )
    options = parser.parse_args()
    if options.page:
        content = json.loads(options.page.read_text())
    elif options.json:
        content = measure(options.json, options.only, options.data_dir)
    else:
        parser.error("use --json=FILE to measure, or --page=FILE to print")
    print("\n".join(table(content)))


if __name__ == "__main__":
    main()
