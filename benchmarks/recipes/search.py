"""Runs the trials that led to the fast recipes, one after the other.

    python benchmarks/recipes/search.py --data=TFDS_DIR --out=docs/recipes/cifar10.jsonl

A trial that the file already has is not repeated, and two searches can share the
trials of a round through ``--only`` or ``--part``. ``trial.py`` describes a trial, and
``table.py`` prints the table. The exit code is 1 if a trial failed.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from trials import TRIALS, Round

HERE = Path(__file__).parent
COSTS = HERE.parents[1] / "docs" / "recipes" / "costs.json"


def cost(group: Round, trial: str) -> list[str]:
    """Returns the options that give a trial its training time."""
    if group.dataset is None:
        return [f"--cpu-seconds={group.cpu_seconds}"]
    known = json.loads(COSTS.read_text())["cpu_ms_per_iteration"][group.dataset]
    iterations = 1e3 * group.cpu_seconds / known[method_of(trial)]
    return [f"--config.training.iterations={round(iterations, -1):.0f}"]


def method_of(trial: str) -> str:
    """Returns the method whose cost a trial has."""
    return trial.partition(",")[0].partition(" weight")[0]


def finished(path: Path) -> set[str]:
    """Returns the names of the trials in a file."""
    if not path.exists():
        return set()
    return {json.loads(line)["name"] for line in path.open()}


def main() -> int:
    """Runs the trials of one or more rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of prepared tfds data")
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--pictures", type=Path, help="folder of one picture a trial")
    parser.add_argument("--rounds", nargs="*", default=list(TRIALS), choices=TRIALS)
    parser.add_argument(
        "--only", nargs="*", help="names of trials, or of methods for all their seeds"
    )
    parser.add_argument("--part", default="0/1", help="K/N: every N-th trial from K")
    options = parser.parse_args()
    failed = []
    part, parts = (int(text) for text in options.part.split("/"))
    for name in options.rounds:
        group = TRIALS[name]
        for trial, fields in list(group.trials.items())[part::parts]:
            names = {trial, trial.partition(",")[0]}
            if options.only and names.isdisjoint(options.only):
                continue
            if trial in finished(options.out):
                continue
            command = [
                sys.executable,
                str(HERE / "trial.py"),
                f"--config={HERE / group.base}",
                f"--config.dataset.data_dir={options.data}",
                f"--name={trial}",
                *cost(group, trial),
                f"--count={group.count}",
                f"--out={options.out}",
                *group.options,
                *(f"--config.{field}" for field in fields.split()),
            ]
            if options.pictures:
                command.append(f"--pictures={options.pictures}")
            if subprocess.run(command, check=False).returncode:
                failed.append(trial)
    if failed:
        print(f"search: these trials failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
