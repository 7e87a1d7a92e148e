"""Resumes runs from checkpoints on a different number of devices.

python tests/parallel/elastic_run.py WHERE FOLDER ITERATION SOURCE...
    [--rank=I --port=N]

WHERE is a number of virtual devices in this process, or PxD for P processes with D
devices each, of which this is process I. SOURCE is the WHERE of the run that saved
FOLDER/<SOURCE>_<placement> at ITERATION, for each placement; 0 is a new state. Each
run trains one more iteration.

The restored state is written to
FOLDER/<ITERATION>_<SOURCE>_to_<WHERE>_<placement>.npz (with ``_as_<other>`` if it is
restored to the other placement), and the state after the iteration to
FOLDER/<ITERATION + 1>_<...>.npz. The state of the last SOURCE is saved as a
checkpoint in FOLDER/<WHERE>_<placement>.
"""

import argparse
from pathlib import Path

import jax

PARSER = argparse.ArgumentParser()
PARSER.add_argument("where")
PARSER.add_argument("folder", type=Path)
PARSER.add_argument("iteration", type=int)
PARSER.add_argument("sources", nargs="+")
PARSER.add_argument("--rank", type=int, default=0)
PARSER.add_argument("--port")
ARGS = PARSER.parse_args()
PROCESSES, DEVICES = map(int, f"1x{ARGS.where}".split("x")[-2:])
jax.config.update("jax_num_cpu_devices", DEVICES)
jax.config.update("jax_enable_x64", True)
if ARGS.port:
    jax.distributed.initialize(f"127.0.0.1:{ARGS.port}", PROCESSES, ARGS.rank)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from tiny import tiny_gan  # noqa: E402

from wgan_jax import (  # noqa: E402
    abstract_state,
    init_state,
    make_mesh,
    make_train_step,
    put_batches,
    sample,
)
from wgan_jax.checkpointing.checkpoints import Checkpoints  # noqa: E402
from wgan_jax.checkpointing.manifest import flatten  # noqa: E402
from wgan_jax.networks import CRITICS, GENERATORS  # noqa: E402
from wgan_jax.parallel.sharding import PLACEMENTS, gather, replicated  # noqa: E402

# A kernel of 32 x 32 is the smallest that is sharded.
GAN = tiny_gan(
    generator=GENERATORS["mlp"](image_shape=(4, 4, 1), width=32, layers=2),
    critic=CRITICS["mlp"](width=32, layers=2),
)
ROWS = 16


def wide(leaf):
    """Converts to float64, in which all numbers of devices give the same run."""
    dtype = jnp.float64 if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf.dtype
    if isinstance(leaf, jax.ShapeDtypeStruct):
        return leaf.update(dtype=dtype)
    return leaf.astype(dtype)


def write(name, state, others=None):
    """Writes the global arrays of a state by path, and others by name."""
    leaves = flatten(gather(state)) | (others or {})
    if ARGS.rank == 0:
        values = {path: np.asarray(leaf) for path, leaf in leaves.items()}
        np.savez(ARGS.folder / f"{name}.npz", **values)


def begin(mesh, key, source, placement):
    """Returns a state from its source, placed on this mesh."""
    if source == "0":
        return jax.tree.map(wide, init_state(GAN, key, mesh, placement=placement))
    found = {}
    for other in PLACEMENTS:
        target = jax.tree.map(wide, abstract_state(GAN, mesh, placement=other))
        with Checkpoints(ARGS.folder / f"{source}_{placement}", keep=9) as checkpoints:
            found[other], _, _ = checkpoints.restore(target, step=ARGS.iteration)
        pairs = zip(jax.tree.leaves(found[other]), jax.tree.leaves(target), strict=True)
        assert all(leaf.sharding == wanted.sharding for leaf, wanted in pairs)
        suffix = placement if other == placement else f"{placement}_as_{other}"
        write(f"{ARGS.iteration}_{source}_to_{ARGS.where}_{suffix}", found[other])
    return found[placement]


def main():
    mesh = make_mesh()
    assert mesh.size == PROCESSES * DEVICES
    key = jax.jit(lambda: jax.random.key(5), out_shardings=replicated(mesh))()
    draw = np.random.RandomState(ARGS.iteration).randint
    bits = draw(0, 256, (2, ROWS, 4, 4, 1), np.uint8)
    images = bits / 127.5 - 1.0  # uint8 images would become float32
    own = ROWS // PROCESSES
    batch = put_batches(mesh, images[:, ARGS.rank * own : (ARGS.rank + 1) * own])
    for placement in PLACEMENTS:
        step = make_train_step(GAN, mesh, placement=placement)
        for source in ARGS.sources:
            state, metrics = step(begin(mesh, key, source, placement), batch, key)
            whole = all(x.is_fully_replicated for x in jax.tree.leaves(state))
            assert whole == (placement == "replicated" or mesh.size == 1)
            samples = np.asarray(sample(GAN, state, jax.random.key(6), 5))
            name = f"{ARGS.iteration + 1}_{source}_to_{ARGS.where}_{placement}"
            write(name, state, metrics | {"samples": samples})
        folder = ARGS.folder / f"{ARGS.where}_{placement}"
        with Checkpoints(folder, keep=9) as checkpoints:
            assert checkpoints.save(ARGS.iteration + 1, state, {})


if __name__ == "__main__":
    main()
    if ARGS.port:
        jax.distributed.shutdown()
