"""Costs of a compiled training step, per device and iteration."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import jax

from wgan_jax.planning.accelerators import Target
from wgan_jax.planning.hlo_costs import (
    Collective,
    collectives,
    donated,
    kernels,
    products,
    traffic,
)
from wgan_jax.planning.roofline import Roofline, roofline
from wgan_jax.types import PyTree


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Device memory during a step, in bytes.

    Attributes:
        arguments: arguments of the step.
        results: results of the step.
        donated: part of the results that reuses the memory of arguments.
        temporaries: temporary buffers.
        program: code of the step.
    """

    arguments: int
    results: int
    donated: int
    temporaries: int
    program: int

    @property
    def peak(self) -> int:
        """Peak memory, excluding the code."""
        return self.arguments + self.results - self.donated + self.temporaries


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """Communication between devices in one update or iteration.

    Attributes:
        count: number of collective operations.
        bytes: bytes of their results.
    """

    count: float
    bytes: float


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs of one iteration on one device.

    Attributes:
        updates: critic updates per iteration.
        operations: floating-point operations of products, as compiled.
        operations_traced: floating-point operations of the traced functions,
            divided by the number of devices.
        traffic: bytes read from and written to memory.
        kernels: number of launched kernels.
        memory: memory of one call, which performs ``iterations_per_call``
            iterations.
        state_bytes: bytes of the state.
        state_donated: bytes of the state whose memory is reused for the new
            state.
        exchanged: communication per iteration, by kind.
        critic_update: communication of one critic update, all kinds; None if it
            cannot be separated.
        generator_update: communication of the generator update, likewise.
        bound: lower bound of the time.
        compiler_counts: the compiler's own counts for one call, with each loop
            body counted once; empty if there are none.
    """

    updates: int
    operations: float
    operations_traced: float
    traffic: float
    kernels: float
    memory: Memory
    state_bytes: int
    state_donated: int
    exchanged: dict[str, Exchanged]
    critic_update: Exchanged | None
    generator_update: Exchanged | None
    bound: Roofline
    compiler_counts: dict[str, float]

    def record(self) -> dict[str, Any]:
        """Returns all costs as JSON values."""
        return asdict(self) | {
            "memory": asdict(self.memory) | {"peak": self.memory.peak},
            "bound": self.bound.record(),
        }


def read_costs(
    program: Any,
    target: Target,
    *,
    state: PyTree,
    updates: int,
    traced: float,
    per_call: int = 1,
    microbatches: int = 1,
    dtype: str = "float32",
) -> Costs:
    """Reads the costs of a compiled step.

    Args:
        program: result of ``compile()``.
        target: the devices it was compiled for.
        state: its first argument, as shapes, dtypes and shardings.
        updates: critic updates per iteration.
        traced: operations per iteration before compilation, over all devices.
        per_call: iterations per call.
        microbatches: parts of each update's batch.
        dtype: dtype in which products are computed.

    Returns:
        The costs.
    """
    text, memory = program.as_text(), program.memory_analysis()
    counts = program.cost_analysis() or {}
    exchanges = collectives(text)
    operations, moved, launched = products(text), traffic(text), kernels(text)
    whole = roofline(
        target,
        products=operations,
        traffic=moved,
        kernels=launched,
        exchanges=exchanges,
        dtype=dtype,
    )
    critic, generator = _by_player(exchanges, updates, per_call, microbatches)
    return Costs(
        updates=updates,
        operations=operations / per_call,
        operations_traced=traced / target.devices,
        traffic=moved / per_call,
        kernels=launched / per_call,
        memory=Memory(
            arguments=memory.argument_size_in_bytes,
            results=memory.output_size_in_bytes,
            donated=memory.alias_size_in_bytes,
            temporaries=memory.temp_size_in_bytes,
            program=memory.generated_code_size_in_bytes,
        ),
        state_bytes=bytes_of(state),
        state_donated=donated(text),
        exchanged={
            kind: _sum([one for one in exchanges if one.kind == kind], per_call)
            for kind in sorted({one.kind for one in exchanges})
        },
        critic_update=critic,
        generator_update=generator,
        bound=Roofline(**{name: s / per_call for name, s in vars(whole).items()}),
        compiler_counts={
            name: counts[name] for name in ("flops", "bytes accessed") if name in counts
        },
    )


def bytes_of(state: PyTree) -> int:
    """Returns the bytes of a state on one device, from shapes, dtypes and shardings."""

    def size(leaf: jax.ShapeDtypeStruct) -> int:
        shape = leaf.sharding.shard_shape(leaf.shape) if leaf.sharding else leaf.shape
        return math.prod(shape) * leaf.dtype.itemsize

    return sum(map(size, jax.tree.leaves(state)))


def _by_player(
    exchanges: list[Collective], updates: int, per_call: int, microbatches: int
) -> tuple[Exchanged | None, Exchanged | None]:
    """Returns the communication per update, using the loop over critic updates."""
    if updates in (1, microbatches):
        return None, None  # that loop was removed, or cannot be identified
    level = int(per_call > 1)
    inside = [one.loops[level : level + 1] == (updates,) for one in exchanges]
    parts = [
        [
            one
            for one, is_inside in zip(exchanges, inside, strict=True)
            if is_inside is x
        ]
        for x in (True, False)
    ]
    return _sum(parts[0], per_call * updates), _sum(parts[1], per_call)


def _sum(exchanges: list[Collective], share: int) -> Exchanged:
    return Exchanged(
        count=sum(one.times for one in exchanges) / share,
        bytes=sum(one.times * one.bytes for one in exchanges) / share,
    )
