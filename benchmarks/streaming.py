"""Measures conversion and reading of more pictures than fit in memory.

    python benchmarks/streaming.py --out=docs/streaming.json

It draws pictures into a temporary folder, converts them, reads random batches, and
trains on them with a memory limit of a third of their size. Each part runs in a
process of its own, whose peak memory is that of the part.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import numpy as np
from machine import describe_machine
from PIL import Image

from wgan_jax.config.loading import find_config, load_config
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.data import converting, load_source, prefetch
from wgan_jax.data.convertible import from_pictures
from wgan_jax.data.pictures import Conversion
from wgan_jax.io.files import write_text
from wgan_jax.program.setup import prepare

SECONDS = 10.0  # of reading
ITERATIONS = 60


def draw(folder: Path, count: int, size: int) -> None:
    """Writes JPEG files of smooth noise, 1,000 in each subfolder."""
    random = np.random.RandomState(0)
    for i in range(count):
        small = Image.fromarray(random.randint(0, 256, (8, 8, 3), np.uint8))
        path = folder / f"{i // 1000:03d}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small.resize((size, size), Image.Resampling.BICUBIC).save(path, quality=90)


def convert(pictures: Path, folder: Path, size: int) -> dict[str, Any]:
    """Converts all pictures."""
    began = time.perf_counter()
    found = converting.convert(
        from_pictures(pictures, conversion=Conversion(size=size)), folder
    )
    seconds = time.perf_counter() - began
    return {
        "pictures": len(found.images),
        "seconds": round(seconds, 1),
        "per_second": round(len(found.images) / seconds),
        "mib": round(found.images.nbytes / 2**20),
        "mib_on_disk": round(sum(f.stat().st_size for f in folder.iterdir()) / 2**20),
    }


def read(folder: Path) -> dict[str, Any]:
    """Reads random batches of 64."""
    images = load_source("folder", path=str(folder), memory_limit=1).images
    random, count = np.random.RandomState(1), 0
    images[:64]  # opens the files
    began = time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        images[random.randint(0, len(images), 64)]
        count += 64
    return {"per_second": round(count / (time.perf_counter() - began))}


def train(folder: Path, limit: int, fields: list[str]) -> dict[str, Any]:
    """Trains and measures the time that each iteration waits for its examples."""
    config = load_config(find_config("folder_fast"))
    given = [f"dataset.path={folder}", f"dataset.memory_limit={limit}", *fields]
    given += ["training.iterations_per_call=1", "evaluation=None"]
    pairs = [text.partition("=") for text in given]
    apply_overrides(config, [(name, value) for name, _, value in pairs])
    run = prepare(config, log=lambda line: None)
    state, steps = run.initial_state(), run.compile(0, log=lambda line: None)
    waited = began = done = 0.0
    for i, batch in enumerate(prefetch(run.pipeline, 0, ITERATIONS + 10)):
        asked = time.perf_counter()
        if i == 10:
            waited, began = 0.0, asked
        elif i > 10:
            waited += asked - done
        state, _ = steps[run.updates_in(batch)](state, run.put(batch), run.key)
        jax.block_until_ready(state)
        done = time.perf_counter()
    total = done - began
    return {
        "limit_mib": limit,
        "set_mib": round(run.source.images.nbytes / 2**20),
        "fields": fields,
        "iterations_per_second": round(ITERATIONS / total, 2),
        "waiting": round(waited / total, 4),
    }


PARTS = {"draw": draw, "convert": convert, "read": read, "train": train}


def part(name: str, *arguments: Any) -> dict[str, Any]:
    """Runs a part in a process, and returns its result with its peak memory."""
    command = [sys.executable, __file__, "--part", name, json.dumps(arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Runs all parts, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--count", type=int, default=65_536, help="pictures")
    parser.add_argument("--size", type=int, default=128, help="pixels")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        name, arguments = options.part[0], json.loads(options.part[1])
        paths = [Path(a) if str(a).startswith("/") else a for a in arguments]
        result = PARTS[name](*paths) or {}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        print(json.dumps(result | {"peak_mib": round(peak)}))
        return 0
    count, size = options.count, options.size
    with tempfile.TemporaryDirectory() as folder:
        pictures, converted, small = (f"{folder}/{name}" for name in "abc")
        part("draw", pictures, count, size)
        found: dict[str, Any] = {"machine": describe_machine(), "size": size}
        found["convert"] = part("convert", pictures, converted, size)
        found["read"] = part("read", converted)
        limit = found["convert"]["mib"] // 3
        narrow = [f"dataset.size={size}", "generator.width=4", "critic.width=4"]
        found["train, large"] = part("train", converted, limit, narrow)
        found["convert, small"] = part("convert", f"{pictures}/000", small, 32)
        found["read, small"] = part("read", small)
        found["train, recipe"] = part("train", small, 1, ["dataset.size=32"])
    print(json.dumps(found, indent=1))
    if options.out:
        write_text(options.out, json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
