"""Trains one config for a given cost, and measures its samples on the way.

    python benchmarks/recipes/trial.py --config=configs/cifar10_fast.py \
        --cpu-seconds=600 --out=trials.jsonl --name=wider --config.critic.width=96

With ``--cpu-seconds``, the number of iterations follows from the speed, which is
measured first, so that schedules end with the trial. Otherwise, it is that of the
config, and the result does not depend on the speed of the machine. Samples of the EMA
weights are kept at the marks, and are compared with the first examples of the test
split after training. One line of JSON is appended to the file. With ``--pictures``, a
grid of samples at the end is saved in that folder.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import numpy as np
from config_arguments import parse_arguments
from machine import describe_machine

from wgan_jax.config.build import build_source
from wgan_jax.config.experiment import ExperimentConfig, with_value
from wgan_jax.config.overrides import split_overrides
from wgan_jax.config.resolve import resolve
from wgan_jax.evaluation.extractors import EXTRACTORS
from wgan_jax.gan import GanState
from wgan_jax.io.images import image_grid, save_png, to_uint8
from wgan_jax.metrics import (
    extract_features,
    frechet_distance,
    kernel_distance,
    manifold_scores,
)
from wgan_jax.program.setup import Experiment, prepare
from wgan_jax.sampling import sample

SUBSET = 1000  # examples in one estimate of the kernel distance, if there are as many
PROBE = 6  # calls that measure the speed
SHOWN, COLUMNS = 32, 8  # samples in the picture of a trial
ESTIMATES = (
    "critic/wasserstein_estimate",
    "critic/wasserstein_by_penalty",
    "critic/wasserstein_by_gradient_norm_at_fakes",
    "critic/score_gap",
    "critic/gradient_norm_at_fakes",
)


class Clock:
    """Wall and processor seconds of the training calls alone."""

    def __init__(self) -> None:
        self.wall, self.cpu = 0.0, 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def __exit__(self, *_: Any) -> None:
        self.wall += time.perf_counter() - self._began[0]
        self.cpu += time.process_time() - self._began[1]


class Training:
    """A state that advances by calls of the compiled step."""

    def __init__(self, config: ExperimentConfig) -> None:
        began = time.perf_counter()
        self.experiment: Experiment = prepare(config, log=lambda line: None)
        self.state: GanState = self.experiment.initial_state()
        self.steps = self.experiment.compile(0, log=lambda line: None)
        self.clock = Clock()
        self.iterations = 0
        self.startup = time.perf_counter() - began

    def advance(self, calls: int) -> dict[str, float]:
        """Runs some calls and returns the metrics of the last one."""
        run = self.experiment
        with self.clock:
            for _ in range(calls):
                batch = run.pipeline.batch(self.iterations)
                step = self.steps[run.updates_in(batch)]
                self.state, metrics = step(self.state, run.put(batch), run.key)
                self.iterations += run.per_call
            jax.block_until_ready(self.state)
        last = {k: v if v.ndim == 0 else v[-1] for k, v in metrics.items()}
        return {name: float(value) for name, value in last.items()}


def samples(training: Training, count: int, *, use_ema: bool) -> np.ndarray:
    """Returns uint8 samples ``[count, H, W, C]``."""
    images = sample(
        training.experiment.gan,
        training.state,
        jax.random.key(1),
        count,
        use_ema=use_ema,
        batch_size=100,
    )
    return to_uint8(np.asarray(images))


def probe(config: ExperimentConfig) -> float:
    """Returns the processor seconds of one iteration."""
    training = Training(config)
    training.advance(2)
    training.clock = Clock()
    training.advance(PROBE)
    return training.clock.cpu / PROBE / training.experiment.per_call


class Judge:
    """Compares samples with the first examples of the test split."""

    def __init__(self, config: ExperimentConfig, count: int) -> None:
        source = build_source(config, split="test")
        self._extract = EXTRACTORS["lite0"](source.example_shape)
        digest = source.record()["sha256"][:16]
        kept = Path(tempfile.gettempdir(), f"lite0_{digest}_{count}.npy")
        if not kept.exists():
            # Renamed once it is complete, because another trial may read it.
            own = kept.with_name(f"{os.getpid()}_{kept.name}")
            np.save(own, self._features(source.images[:count]))
            own.replace(kept)
        self._real = np.load(kept)

    def _features(self, images: np.ndarray) -> np.ndarray:
        found = extract_features(self._extract, images, batch_size=100)
        return np.asarray(found.values)

    def distance(self, images: np.ndarray) -> dict[str, float]:
        """Returns the kernel distance alone."""
        fake = self._features(images)
        return {"kernel_distance": self._kernel(fake)}

    def _kernel(self, fake: np.ndarray) -> float:
        size = min(SUBSET, len(self._real), len(fake))
        return float(kernel_distance(self._real, fake, subset_size=size).mean)

    def scores(self, images: np.ndarray) -> dict[str, float]:
        """Returns all scores."""
        fake = self._features(images)
        moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in (self._real, fake)]
        return {
            "kernel_distance": self._kernel(fake),
            "frechet_distance": frechet_distance(*moments[0], *moments[1]),
            **manifold_scores(self._real, fake)._asdict(),
        }


def run(config: ExperimentConfig, options: argparse.Namespace) -> dict[str, Any]:
    """Trains, samples and measures."""
    per_call = config.training.iterations_per_call
    if options.cpu_seconds:
        calls = max(1, round(options.cpu_seconds / probe(config) / per_call))
        config = with_value(config, "training.iterations", calls * per_call)
    training = Training(config)
    calls = config.training.iterations // per_call
    marks = sorted({max(1, round(calls * part)) for part in options.marks})
    has_ema = config.training.has_ema
    kept, rows, done = [], [], 0
    for mark in marks:
        metrics = training.advance(mark - done)
        done, clock = mark, training.clock
        rows.append(
            {
                "iterations": training.iterations,
                "cpu_s": round(clock.cpu, 1),
                "wall_s": round(clock.wall, 1),
                **{k: round(metrics[k], 4) for k in ESTIMATES if k in metrics},
            }
        )
        if not np.all(np.isfinite(list(metrics.values()))):
            rows[-1]["diverged"] = True
            break
        kept.append(samples(training, options.count, use_ema=has_ema))
    judge = Judge(config, options.count)
    for row, images in zip(rows, kept, strict=False):
        last = images is kept[-1]
        measure = judge.scores if last or options.scores else judge.distance
        row |= {name: round(float(v), 4) for name, v in measure(images).items()}
    live = {}
    if has_ema and options.scores and "kernel_distance" in rows[-1]:
        images = samples(training, options.count, use_ema=False)
        live = {name: round(float(v), 4) for name, v in judge.scores(images).items()}
    if options.pictures and kept:
        options.pictures.mkdir(parents=True, exist_ok=True)
        grid = image_grid(kept[-1][:SHOWN], columns=COLUMNS, scale=1)
        save_png(options.pictures / f"{options.name}.png", grid)
    return {
        "name": options.name,
        "machine": describe_machine(),
        "startup_s": round(training.startup, 1),
        "batch_size": config.training.batch_size,
        "n_critic": config.training.n_critic,
        "seed": config.seed,
        "count": options.count,
        "marks": rows,
        **({"live": live} if live else {}),
    }


def main() -> int:
    """Runs one trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="name of the trial")
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--cpu-seconds", type=float, help="processor time to train")
    parser.add_argument("--count", type=int, default=5000, help="samples to compare")
    parser.add_argument("--marks", type=float, nargs="*", default=[0.5, 1.0])
    parser.add_argument("--scores", action="store_true", help="all scores at marks")
    parser.add_argument("--pictures", type=Path, help="folder for a grid of samples")
    options, config, source = parse_arguments(parser)
    try:
        row = run(resolve(config), options)
    except ValueError as error:
        print(f"trial: {error}", file=sys.stderr)
        return 2
    overrides = dict(split_overrides(sys.argv[1:])[0])
    overrides.pop("dataset.data_dir", None)
    row |= {"config": source.title, "overrides": overrides}
    with options.out.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
