"""Cost of K replicas in one step, and their benefit on an accelerator.

    python benchmarks/replicas.py                  # times on this machine
    python benchmarks/replicas.py --kernels        # compiled for v5e and H100

The first command alternates K replicas in one compiled step with K calls of the
step of a single run, in one process. It prints the ratio of the times,
wall-clock and CPU: 1 means K times the cost of one run. Networks and settings
are those of gaussians_wgan_gp.

The second command compiles the replicas' step for absent devices and counts the
kernels that one iteration launches: operations of the compiled program that
compute (fusions, library calls and unfused operations, without memory moves),
multiplied by the length of the enclosing loops. If the count does not depend on
K, a step that is too small for the accelerator costs the same for more runs.
``deviceless.py`` explains what to install; a target without a compiler is
skipped.
"""

import argparse
import os
import statistics
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import deviceless
import jax
import numpy as np
import optax

from wgan_jax import OBJECTIVES, Gan, gradient_penalty, init_state
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.planning.hlo_costs import kernels
from wgan_jax.training.compiled import make_train_step
from wgan_jax.training.replicas import (
    abstract_replicas,
    init_replicas,
    make_replicas_step,
)

UPDATES, BATCH = 5, 256


def mlp_gan(width):
    """Returns the networks of gaussians_wgan_gp, with any width."""
    adam = partial(optax.adam, 1e-4, b1=0.5, b2=0.9)
    return Gan(
        generator=GENERATORS["mlp"](image_shape=(2,), width=width),
        critic=CRITICS["mlp"](width=width),
        objective=OBJECTIVES["wasserstein"],
        penalties=((gradient_penalty, 0.1),),
        generator_optimizer=adam(),
        critic_optimizer=adam(),
        latent_size=2,
    )


def seconds(run):
    """Returns wall-clock and CPU seconds of a synchronous call."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def ratios(width, count, together, rounds, iterations):
    """Returns ratios of K replicas over K single runs: pairs of wall-clock and CPU."""
    gan = mlp_gan(width)
    keys = jax.vmap(jax.random.key)(np.arange(count))
    batches = np.random.default_rng(0).normal(size=(count, UPDATES, BATCH, 2))
    batches = batches.astype(np.float32)
    many = make_replicas_step(gan, together=together)
    one = make_train_step(gan)
    states = {"many": init_replicas(gan, keys), "one": init_state(gan, keys[0])}

    def run_many():
        for _ in range(iterations):
            states["many"], _ = many(states["many"], batches, keys)
        jax.block_until_ready(states["many"])

    def run_one():
        for _ in range(iterations * count):
            states["one"], _ = one(states["one"], batches[0], keys[0])
        jax.block_until_ready(states["one"])

    run_many(), run_one()
    pairs = [(seconds(run_many), seconds(run_one)) for _ in range(rounds)]
    return [(a[0] / b[0], a[1] / b[1]) for a, b in pairs]


def time_here(arguments):
    """Prints the ratios of times on this machine."""
    platform = jax.devices()[0].platform
    print(
        f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores; default: "
        f"{'sequential' if platform == 'cpu' else 'vmap'}"
    )
    print("width  K   way           wall / K one    CPU / K one   (median, range)")
    for width, count in [(64, 8), (64, 16), (512, 4), (512, 16)]:
        iterations = max(1, 4096 // (width * count))
        for together in (False, True):
            found = ratios(width, count, together, arguments.rounds, iterations)
            columns = [
                f"{statistics.median(x):.2f} ({min(x):.2f}-{max(x):.2f})"
                for x in zip(*found, strict=True)
            ]
            way = "vmap" if together else "sequential"
            print(f"{width:5}  {count:2}  {way:10} {columns[0]:>17} {columns[1]:>17}")


def count_kernels(arguments):
    """Prints the number of kernels of the step compiled for absent devices."""
    counts = (1, 2, 8, 32)
    meshes = deviceless.meshes()
    print("kernels per iteration " + "".join(f"{f'K = {k}':>9}" for k in counts))
    for name, mesh in meshes.items():
        for width in (64, 512):
            gan, found = mlp_gan(width), []
            for count in counts:
                step = make_replicas_step(gan, mesh, together=True)
                state = abstract_replicas(gan, settings=np.zeros(count), mesh=mesh)
                place = jax.tree.leaves(state)[0].sharding
                shaped = partial(jax.ShapeDtypeStruct, sharding=place)
                keys = jax.eval_shape(
                    lambda n=count: jax.vmap(jax.random.key)(np.arange(n))
                )
                batch = shaped((count, UPDATES, BATCH, 2), np.float32)
                compiled = step.lower(
                    state, batch, shaped(keys.shape, keys.dtype)
                ).compile()
                found.append(kernels(compiled.as_text()))
            row = "".join(f"{n:>9}" for n in found)
            print(f"{name:9} width {width:4}  {row}", flush=True)


def main():
    """Runs the selected benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kernels", action="store_true", help="count compiled kernels")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds")
    arguments = parser.parse_args()
    if arguments.kernels:
        deviceless.prepare()
    (count_kernels if arguments.kernels else time_here)(arguments)


if __name__ == "__main__":
    main()
