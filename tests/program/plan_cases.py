"""Compiles iterations of residual networks for unavailable devices; prints JSON.

    python tests/program/plan_cases.py v5e:2x4 ours plain

It runs in a separate process, because the compilers read their settings once.
"""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import jax
from convolution import build

from wgan_jax.parallel.sharding import batch_sharding, replicated
from wgan_jax.planning.accelerators import (
    parse_target,
    prepare_environment,
    target_mesh,
)
from wgan_jax.planning.costs import read_costs
from wgan_jax.planning.flops import operations
from wgan_jax.training.compiled import make_train_step
from wgan_jax.training.init import abstract_state
from wgan_jax.training.steps import train_step

UPDATES, BATCH, WIDTH = 5, 64, 32
# Side of the images, which determines the number of blocks, and batch norm.
CASES = {
    "ours": (32, True),
    "plain": (32, True),
    "deeper": (64, True),
    "without norm": (32, False),
    "deeper without norm": (64, False),
}


def gan_of(case):
    side, batch_norm = CASES[case]
    gan = build("resnet", WIDTH, plain=case == "plain")
    shape = {"image_shape": (side, side, 3), "batch_norm": batch_norm}
    return replace(gan, generator=gan.generator.clone(**shape))


def costs_of(case, target, mesh):
    gan, side = gan_of(case), CASES[case][0]
    state = abstract_state(gan, mesh)
    key = jax.eval_shape(lambda: jax.random.key(0))
    key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=replicated(mesh))
    batch = jax.ShapeDtypeStruct(
        (UPDATES, BATCH, side, side, 3),
        jax.numpy.float32,
        sharding=batch_sharding(mesh),
    )
    program = make_train_step(gan, mesh).lower(state, batch, key).compile()
    traced = operations(partial(train_step, gan), state, batch, key)
    found = read_costs(program, target, state=state, updates=UPDATES, traced=traced)
    names = [jax.tree_util.keystr(path) for path, _ in leaves(state)]
    norms = sum("norm" in name and "scale" in name for name in names)
    return found.record() | {"norms": norms}


def leaves(state):
    return jax.tree_util.tree_leaves_with_path(state.generator.params)


def main():
    prepare_environment()
    jax.config.update("jax_platforms", "cpu")
    target = parse_target(sys.argv[1])
    mesh = target_mesh(target)
    print(json.dumps({case: costs_of(case, target, mesh) for case in sys.argv[2:]}))


if __name__ == "__main__":
    main()
