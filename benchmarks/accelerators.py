"""Compiles our training steps, and flax's, for accelerators and compares their costs.

    python benchmarks/accelerators.py [--devices 4] [--json out.json]

For a TPU v5e and an H100, with 64 images per device, it compiles the critic
step with gradient penalty, the generator step, and the whole iteration of five
critic updates and one generator update. Each is compiled with our layers and
with flax's (as in ``convolution.py``). The figures are read from the compiled
programs:

    GFLOP, MB accessed   counts of the TPU compiler; the CUDA compiler has none. The
                         second includes on-chip memory
    device MB            traffic to and from device memory (``hlo_costs.traffic``)
    temp, args, donated  MB of device memory: temporaries, arguments, and the part of
                         the arguments that is reused for the results
    convs, other, dil.   convolutions; on the H100, those not in cuDNN, and those in
                         cuDNN with a dilated kernel
    kernels              launched by one call
    reord., MB           instructions that change the order of an array
    coll.                collective operations
    sec                  compile time

In an iteration, the body of the loop over critic updates is counted once,
except for device MB and kernels. Ratios are ours divided by flax's: below 1,
ours is cheaper. No program is run. ``deviceless.py`` explains what to install;
a target without a compiler is skipped. All programs take twenty minutes on one
core; ``--pair``, ``--step`` and ``--target`` select a part.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import compiled_forms
import deviceless
import jax
import jax.numpy as jnp
import jaxlib
from convolution import SHAPE, UPDATES, build
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from wgan_jax.gan import Gan
from wgan_jax.parallel.sharding import DATA_AXIS, batch_sharding, replicated
from wgan_jax.planning.hlo_costs import COLLECTIVES, collectives, kernels, traffic
from wgan_jax.training.compiled import (
    make_critic_step,
    make_generator_step,
    make_train_step,
)
from wgan_jax.training.init import abstract_state

BATCH = 64  # images per device
PAIRS = {
    "dcgan": ("dcgan", 64, None),
    "resnet": ("resnet", 128, None),
    "resnet-bfloat16": ("resnet", 128, jnp.bfloat16),
}
STEPS = ("critic", "generator", "iteration")
SIDES = ("ours", "plain")


class Case(NamedTuple):
    """One program, compiled in both variants.

    Attributes:
        target: a key of ``deviceless.meshes``.
        pair: a key of ``PAIRS``.
        step: one of ``STEPS``.
    """

    target: str
    pair: str
    step: str


def gan_of(pair: str, *, plain: bool) -> Gan:
    """Returns a pair of networks with a gradient penalty and float32 parameters."""
    name, width, dtype = PAIRS[pair]
    gan = build(name, width, plain=plain)
    return replace(
        gan,
        generator=gan.generator.clone(dtype=dtype),
        critic=gan.critic.clone(dtype=dtype),
    )


def lowered(gan: Gan, step: str, mesh: Mesh) -> Any:
    """Lowers one of ``STEPS`` for a mesh."""
    whole, batch = replicated(mesh), BATCH * mesh.size
    state = abstract_state(gan, mesh)
    key = jax.eval_shape(lambda: jax.random.key(0))
    key = jax.ShapeDtypeStruct(key.shape, key.dtype, sharding=whole)
    if step == "generator":
        return make_generator_step(gan, mesh, batch_size=batch).lower(state, key)
    make: Any = make_critic_step
    shape: tuple[int, ...] = (batch, *SHAPE)
    placed = NamedSharding(mesh, PartitionSpec(DATA_AXIS))
    if step == "iteration":
        make, shape, placed = make_train_step, (UPDATES, *shape), batch_sharding(mesh)
    images = jax.ShapeDtypeStruct(shape, jnp.float32, sharding=placed)
    return make(gan, mesh).lower(state, images, key)


def figures(program: Any) -> dict[str, float]:
    """Returns the figures of a compiled program, in GFLOP, MB and counts."""
    text, memory = program.as_text(), program.memory_analysis()
    cost = program.cost_analysis() or {}
    found = {}
    if "flops" in cost:
        found["gflop"] = cost["flops"] / 1e9
        found["accessed_mb"] = cost["bytes accessed"] / 1e6
    found["device_mb"] = traffic(text) / 1e6
    found["temporary_mb"] = memory.temp_size_in_bytes / 1e6
    found["arguments_mb"] = memory.argument_size_in_bytes / 1e6
    found["donated_mb"] = memory.alias_size_in_bytes / 1e6
    counts = compiled_forms.convolutions(text)
    found["convolutions"] = counts["cudnn"] + counts["others"]
    found["convolutions_of_cudnn"] = counts["cudnn"]
    found["convolutions_of_cudnn_dilated"] = counts["dilated"]
    found["kernels"] = kernels(text)
    moved = compiled_forms.transpositions(text)
    found["reordered"] = moved["count"]
    found["reordered_mb"] = moved["bytes"] / 1e6
    exchanges = collectives(text)
    for kind in COLLECTIVES:
        found[kind.replace("-", "_")] = [one.kind for one in exchanges].count(kind)
    return found


def compare(case: Case, mesh: Mesh) -> dict[str, Any]:
    """Compiles both variants of a case and computes the ratios."""
    sides: dict[str, Any] = {}
    for side in SIDES:
        step = lowered(gan_of(case.pair, plain=side == "plain"), case.step, mesh)
        start = time.perf_counter()
        program = step.compile()
        seconds = time.perf_counter() - start
        sides[side] = figures(program) | {"compile_seconds": round(seconds, 1)}
    ours, plain = sides["ours"], sides["plain"]
    ratios = {
        name: ours[name] / plain[name]
        for name in ours
        if plain[name] and name != "compile_seconds"
    }
    return sides | {"ratios": ratios}


COLUMNS = (
    ("GFLOP", 7, "gflop"),
    ("MB acc.", 8, "accessed_mb"),
    ("device MB", 10, "device_mb"),
    ("temp", 7, "temporary_mb"),
    ("args", 6, "arguments_mb"),
    ("donated", 8, "donated_mb"),
    ("convs", 6, "convolutions"),
    ("other", 6, "other"),
    ("dil.", 5, "dilated"),
    ("kernels", 8, "kernels"),
    ("reord.", 7, "reordered"),
    ("MB", 7, "reordered_mb"),
    ("coll.", 6, "collectives"),
    ("sec", 5, "compile_seconds"),
)


def cells(case: Case, found: dict[str, float]) -> dict[str, float]:
    """Converts figures to table columns, including sums and cuDNN counts."""
    kinds = [kind.replace("-", "_") for kind in COLLECTIVES]
    cells = dict(found)
    if "kernels" in found:
        cells["collectives"] = sum(found.get(kind, 0) for kind in kinds)
    if case.target == deviceless.GPU and "kernels" in found:
        cells["other"] = found["convolutions"] - found["convolutions_of_cudnn"]
        cells["dilated"] = found["convolutions_of_cudnn_dilated"]
    return cells


def rows(case: Case, found: dict[str, Any]) -> Iterator[str]:
    """Formats a case as lines of the table."""
    for side in (*SIDES, "ratios"):
        name = f"{case.target} {case.pair}, {case.step}" if side == "ours" else ""
        values = found[side] if side == "ratios" else cells(case, found[side])
        line = f"{name:35} {side:6}"
        for _, width, key in COLUMNS:
            value = values.get(key)
            digits = 2 if side == "ratios" else 1 if isinstance(value, float) else 0
            line += f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"
        yield line


def rounded(value: Any) -> Any:
    """Rounds all floats in a tree to four significant digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def write(path: str, devices: int, programs: dict[str, Any]) -> None:
    """Writes the figures so far as JSON."""
    about = {
        "devices": devices,
        "images_per_device": BATCH,
        "versions": {"jax": jax.__version__, "jaxlib": jaxlib.__version__},
    }
    with open(path, "w") as file:
        json.dump({**about, "programs": rounded(programs)}, file, indent=1)
        file.write("\n")


def parsed() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    targets = deviceless.TARGETS
    parser.add_argument("--target", choices=targets, action="append")
    parser.add_argument("--pair", choices=PAIRS, action="append")
    parser.add_argument("--step", choices=STEPS, action="append")
    parser.add_argument("--devices", type=int, choices=(1, 2, 4), default=1)
    parser.add_argument("--json", help="output file")
    return parser.parse_args()


def main() -> None:
    """Compiles, prints and writes the figures."""
    args = parsed()
    deviceless.prepare()
    meshes = deviceless.meshes(args.devices, args.target or deviceless.TARGETS)
    print(f"{args.devices} device(s), {BATCH} images each, jax {jax.__version__}")
    print(f"{'':42}" + "".join(f"{head:>{width}}" for head, width, _ in COLUMNS))
    programs = {}
    for target, mesh in meshes.items():
        for pair in args.pair or PAIRS:
            for step in args.step or STEPS:
                case = Case(target, pair, step)
                found = programs["; ".join(case)] = compare(case, mesh)
                print("\n".join(rows(case, found)), flush=True)
                if args.json:
                    write(args.json, args.devices, programs)


if __name__ == "__main__":
    main()
