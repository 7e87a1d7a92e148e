"""Measures the processor time of one iteration of each method.

    python benchmarks/recipes/calibrate.py --data=TFDS_DIR --out=docs/recipes/costs.json

``search.py`` gives each method the iterations that cost the same processor time by
this file. The file was measured once, with one core for this process (``taskset``).
A trial therefore has the same number of iterations on every machine.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from machine import describe_machine
from trial import Clock, Training
from trials import METHODS, METHODS_BASE, UPDATES

from wgan_jax.config.loading import load_config
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.config.resolve import resolve
from wgan_jax.io.files import write_text

SECONDS = 3.0  # processor seconds of one measurement, at least
REPEATS = 2


def measure(data: str, dataset: str, fields: str) -> float:
    """Returns the median processor milliseconds of one iteration."""
    config = load_config(Path(__file__).with_name(METHODS_BASE))
    overrides = [f"dataset.data_dir={data}", f"dataset.name={dataset}"]
    pairs = [text.partition("=") for text in (*overrides, *fields.split())]
    apply_overrides(config, [(name, value) for name, _, value in pairs])
    training = Training(resolve(config))
    training.advance(1)
    found = []
    for _ in range(REPEATS):
        training.clock, began = Clock(), training.iterations
        while training.clock.cpu < SECONDS:
            training.advance(1)
        done = training.iterations - began
        found.append(1e3 * training.clock.cpu / done)
    return statistics.median(found)


def main() -> int:
    """Measures all methods on both datasets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of prepared tfds data")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    about = {"machine": describe_machine(), "cpu_ms_per_iteration": {}}
    for dataset, methods in {
        "fashion_mnist": METHODS | UPDATES,
        "cifar10": METHODS,
    }.items():
        costs = about["cpu_ms_per_iteration"][dataset] = {}
        for name, fields in methods.items():
            costs[name] = round(measure(options.data, dataset, fields), 2)
            print(f"{dataset}: {name}: {costs[name]} ms", flush=True)
    write_text(options.out, json.dumps(about, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
