"""Stage ``correct``: compares small steps on the device with float64 references.

    python benchmarks/accelerator/correct.py --out DIR [--seconds 100] [--rehearsal]

Each case runs in each precision in its own process, as many at once as there
are CPU cores for compilation. Errors, tolerances and guarantees are written to
``correct.json``; they are defined in ``correct_worker.py``.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PRECISIONS = ("float32", "bfloat16")
CASES = ("r3gan", "resnet", "sngan", "dcgan", "mlp")  # slowest first
REHEARSED = (("mlp", "float32"), ("mlp", "bfloat16"))


def one(case: str, precision: str, until: float) -> dict[str, Any]:
    """Runs a worker; returns its results, or the reason of a failure in ``wrong``."""
    command = [sys.executable, Path(__file__).with_name("correct_worker.py")]
    began = time.time()
    try:
        done = subprocess.run(
            [*command, case, precision],
            env=os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
            capture_output=True,
            text=True,
            timeout=max(until - began, 1),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"wrong": ["not finished within the time limit"]}
    seconds = {"seconds": round(time.time() - began, 1)}
    if done.returncode != 0:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        return {"wrong": [f"exited with status {done.returncode}: {last}"]} | seconds
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | seconds


def run(
    out: Path, pairs: Sequence[tuple[str, str]], *, seconds: float
) -> dict[str, Any]:
    """Runs cases in precisions; returns the results of each pair."""
    until = time.time() + seconds
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda pair: one(*pair, until), pairs))
    content = {
        f"{case}/{precision}": result
        for (case, precision), result in zip(pairs, results, strict=True)
    }
    (out / "correct.json").write_text(json.dumps(content, indent=1) + "\n")
    return content


def main() -> int:
    """Prints one line per case; returns 1 if any is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", required=True, help="output folder for correct.json")
    parser.add_argument("--seconds", type=float, default=100, help="time limit")
    parser.add_argument("--rehearsal", action="store_true", help="smallest cases only")
    parser.add_argument(
        "--only",
        type=lambda text: [tuple(pair.split("/")) for pair in text.split(",")],
        default=[(case, p) for case in CASES for p in PRECISIONS],
        help="selected pairs, such as sngan/bfloat16,resnet/float32",
    )
    options = parser.parse_args()
    pairs = REHEARSED if options.rehearsal else options.only
    found = run(Path(options.out), pairs, seconds=options.seconds)
    for name, result in found.items():
        wrong = ", ".join(result["wrong"])
        print(f"{name:18} {wrong or 'correct'}")
    return int(any(result["wrong"] for result in found.values()))


if __name__ == "__main__":
    sys.exit(main())
