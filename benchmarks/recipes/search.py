"""Runs the trials that led to the fast recipes, one after the other.

    python benchmarks/recipes/search.py --data=TFDS_DIR --out=docs/recipes/cifar10.jsonl

A trial that the file already has is not repeated. ``trial.py`` describes a trial, and
``table.py`` prints the table.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from trials import TRIALS

HERE = Path(__file__).parent


def main() -> int:
    """Runs the trials of one or more rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of prepared tfds data")
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--pictures", type=Path, help="folder of 64 samples a trial")
    parser.add_argument("--rounds", nargs="*", default=list(TRIALS), choices=TRIALS)
    parser.add_argument("--only", nargs="*", help="names of trials")
    options = parser.parse_args()
    done = set()
    if options.out.exists():
        done = {json.loads(line)["name"] for line in options.out.open()}
    for name in options.rounds:
        group = TRIALS[name]
        for trial, fields in group.trials.items():
            if trial in done or (options.only and trial not in options.only):
                continue
            command = [
                sys.executable,
                str(HERE / "trial.py"),
                f"--config={HERE / group.base}",
                f"--config.dataset.data_dir={options.data}",
                f"--name={trial}",
                f"--cpu-seconds={group.cpu_seconds}",
                f"--count={group.count}",
                f"--out={options.out}",
                *(f"--config.{field}" for field in fields.split()),
            ]
            if options.pictures:
                command.append(f"--pictures={options.pictures}")
            subprocess.run(command, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
