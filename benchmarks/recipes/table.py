"""Prints trials as a Markdown table, best first.

    python benchmarks/recipes/table.py docs/recipes/cifar10.jsonl

With ``--names``, the overrides are left out; they are in ``trials.py``.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

COLUMNS = ("trial", "overrides", "iterations", "CPU s", "kernel distance", "earlier")


def row(trial: dict[str, Any]) -> list[str]:
    """Returns the cells of one trial."""
    *earlier, last = trial["marks"]
    distance = last.get("kernel_distance")
    before = ", ".join(
        f"{mark['kernel_distance']:.2f} at {mark['iterations']:,}"
        for mark in earlier
        if "kernel_distance" in mark
    )
    fields = " ".join(f"{name}={text}" for name, text in trial["overrides"].items())
    return [
        trial["name"],
        f"`{fields}`" if fields else "",
        f"{last['iterations']:,}",
        f"{last['cpu_s']:.0f}",
        "diverged" if distance is None else f"{distance:.3f}",
        before,
    ]


def main() -> int:
    """Prints the table of one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="file of JSON lines")
    parser.add_argument("--names", action="store_true", help="no overrides")
    options = parser.parse_args()
    trials = [json.loads(line) for line in options.file.read_text().splitlines()]
    trials.sort(key=lambda t: t["marks"][-1].get("kernel_distance", float("inf")))
    for cells in (COLUMNS, ("---",) * len(COLUMNS), *map(row, trials)):
        shown = [c for i, c in enumerate(cells) if i != 1 or not options.names]
        print(f"| {' | '.join(shown)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
