"""Overhead of the program over its compiled step: images/s of both, in one process.

    python benchmarks/overhead.py --config=configs/digits_wgan_gp.py --iterations=400

Each round first runs the bare compiled step on one batch that stays on the
device. It then runs the training of ``launch.py`` on the same devices, resumed
from its last checkpoint, with data, metrics, TensorBoard, samples and
checkpoints at the intervals of the config. The program's rate is that of its
log lines after the first one. Compilation, restoring and the final checkpoint
are excluded; periodic checkpoints are included. The last lines are the median
ratios over the rounds. Overrides such as --config.generator.width=32 are
accepted. --per_call=1,10,50 runs the program with each of these numbers of
iterations per call. The bare step always runs one iteration per call, so a
ratio above 1 is the gain of several iterations per call.
"""

import argparse
import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
from config_arguments import parse_arguments

from wgan_jax import init_state, make_mesh, make_train_step, put_batches
from wgan_jax.config.build import build_gan, build_pipeline, build_source
from wgan_jax.program.train import train
from wgan_jax.program.workdir import Workdir


def bare_rate(step, state, batch, key, *, images, iterations):
    """Measures images/s of the compiled step, with two steps in flight."""
    waiting = None
    began = time.perf_counter()
    for _ in range(iterations):
        state, metrics = step(state, batch, key)
        if waiting is not None:
            jax.device_get(waiting)
        waiting = metrics
    jax.device_get(waiting)
    return state, images * iterations / (time.perf_counter() - began)


def program_rate(config, workdir, iterations):
    """Measures images/s of the program over all log lines except the first."""
    with contextlib.redirect_stderr(io.StringIO()):
        train(config, workdir, command="benchmark", log=lambda line: None)
    lines = [json.loads(line) for line in workdir.metrics.read_text().splitlines()]
    start = config.training.iterations - iterations
    per_call = config.training.iterations_per_call
    rates = [
        line["throughput/images_per_second"]
        for line in lines
        if line["step"] > start + max(config.log.every, per_call)
    ]
    return len(rates) / sum(1 / rate for rate in rates)


def main():
    """Prints one line per round, and the median ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--iterations", type=int, default=400, help="iterations per round and side"
    )
    parser.add_argument(
        "--per_call",
        type=lambda text: [int(part) for part in text.split(",")],
        help="values of training.iterations_per_call [the config's]",
    )
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    options, config, _ = parse_arguments(parser)
    iterations = options.iterations
    source, mesh = build_source(config), make_mesh()
    gan = build_gan(config, source.example_shape)
    key = jax.random.key(config.seed)
    state = init_state(gan, key, mesh)
    batch = put_batches(mesh, build_pipeline(config, source).batch(10**6))
    images = batch["image"].shape[0] * config.training.batch_size
    step = make_train_step(gan, mesh)
    state, _ = step(state, batch, key)
    per_calls = options.per_call or [config.training.iterations_per_call]
    ratios = {per_call: [] for per_call in per_calls}
    with tempfile.TemporaryDirectory() as folder, config.unlocked():
        config.evaluation.every = 0  # evaluation is not overhead of the loop
        for n in range(options.rounds):
            config.training.iterations = (n + 1) * iterations
            state, bare = bare_rate(
                step, state, batch, key, images=images, iterations=iterations
            )
            for per_call in per_calls:
                config.training.iterations_per_call = per_call
                program = program_rate(
                    config, Workdir(Path(folder, str(per_call))), iterations
                )
                ratios[per_call].append(program / bare)
                print(
                    f"round {n + 1}: bare step {bare:.0f} images/s, program "
                    f"{program:.0f} with {per_call} iterations per call, ratio "
                    f"{program / bare:.3f}",
                    flush=True,
                )
    for per_call, found in ratios.items():
        print(f"{per_call} per call: median ratio {statistics.median(found):.3f}")


if __name__ == "__main__":
    main()
