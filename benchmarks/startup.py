"""Start-up time of a config, with a cold and with a warm cache.

    python benchmarks/startup.py --config=configs/digits_wgan_gp.py
    python benchmarks/startup.py --config=configs/cifar10_wgan_gp.py --repeats=3

Each pair of starts begins with empty caches of programs and of decoded
examples. Each start trains a new run for one iteration. The script prints the
seconds until the step is compiled and until the program ends, after writing its
picture and checkpoint. The last line has the medians of the second start over
the first. Unknown arguments are passed to ``launch.py``.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ONE = [
    "--config.training.iterations=1",
    "--config.evaluation.every=0",
]


def start(config: str, workdir: str, cache: str, rest: list[str]) -> tuple[float, ...]:
    """Returns the seconds until the step is compiled, and until the program ends."""
    command = [sys.executable, "launch.py", f"--config={config}"]
    began, compiled = time.perf_counter(), None
    with subprocess.Popen(
        [*command, f"--workdir={workdir}", *ONE, *rest],
        cwd=ROOT,
        env=os.environ
        | {"JAX_COMPILATION_CACHE_DIR": f"{cache}/jax", "XDG_CACHE_HOME": cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Compiled in"):
                compiled = time.perf_counter() - began
    if process.returncode or compiled is None:
        sys.exit(
            f"the program exited with status {process.returncode}. Run it separately "
            "to see its output."
        )
    return compiled, time.perf_counter() - began


def main() -> None:
    """Measures pairs of starts and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/digits_wgan_gp.py")
    parser.add_argument("--repeats", type=int, default=3, help="number of pairs")
    options, rest = parser.parse_known_args()
    ratios: list[tuple[float, ...]] = []
    for number in range(1, options.repeats + 1):
        with tempfile.TemporaryDirectory() as folder:
            pair = [
                start(options.config, f"{folder}/run{which}", f"{folder}/cache", rest)
                for which in (1, 2)
            ]
        ratios.append(tuple(b / a for a, b in zip(*pair, strict=True)))
        print(
            f"pair {number}: compiled after {pair[0][0]:.1f} s, then {pair[1][0]:.1f} "
            f"s; ended after {pair[0][1]:.1f} s, then {pair[1][1]:.1f} s",
            flush=True,
        )
    compiled, ended = (
        statistics.median(column) for column in zip(*ratios, strict=True)
    )
    print(
        f"second start / first start: until compiled {compiled:.2f}, until the end "
        f"{ended:.2f}"
    )


if __name__ == "__main__":
    main()
