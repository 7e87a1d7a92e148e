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
    """Bytes of a device's memory while a step runs.

    Attributes:
        arguments: what the step is given.
        results: what it gives.
        donated: of the results, in the memory of arguments.
        temporaries: in between.
        program: the step's code.
    """

    arguments: int
    results: int
    donated: int
    temporaries: int
    program: int

    @property
    def peak(self) -> int:
        """The most at once, the code apart."""
        return self.arguments + self.results - self.donated + self.temporaries


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """What devices say to each other in one update or iteration.

    Attributes:
        count: messages, each between all devices.
        bytes: of their results.
    """

    count: float
    bytes: float


@dataclass(frozen=True, kw_only=True)
class Costs:
    """One iteration on one device.

    Attributes:
        updates: the critic's, in the iteration.
        operations: floating-point operations of products, as compiled.
        operations_traced: as many as the functions need, divided among the devices.
        traffic: bytes to and from the memory.
        kernels: that are launched.
        memory: of a call, which takes ``iterations_per_call``.
        state_bytes: of the state.
        state_donated: of these, whose memory the new state takes over.
        exchanged: by kind, in the iteration.
        critic_update: of all kinds, in one; None if it cannot be told apart.
        generator_update: likewise.
        bound: how fast it can be.
        compiler_counts: what the compiler counts itself, of a call, each loop once;
            empty where it does not.
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
        """All of it, as JSON values."""
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
    """The costs of a compiled step.

    Args:
        program: what ``compile()`` gave.
        target: the devices it is for.
        state: its first argument, as shapes, dtypes and placings.
        updates: the critic's, in one iteration.
        traced: operations of an iteration before compiling, of all devices.
        per_call: iterations of one call.
        microbatches: parts of each update's batch.
        dtype: that products are computed in.

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
    """Bytes of a state on one device, from its shapes, dtypes and placings."""

    def size(leaf: jax.ShapeDtypeStruct) -> int:
        shape = leaf.sharding.shard_shape(leaf.shape) if leaf.sharding else leaf.shape
        return math.prod(shape) * leaf.dtype.itemsize

    return sum(map(size, jax.tree.leaves(state)))


def _by_player(
    exchanges: list[Collective], updates: int, per_call: int, microbatches: int
) -> tuple[Exchanged | None, Exchanged | None]:
    """What one update of each exchanges; the critic's are in the loop over them."""
    if updates in (1, microbatches):
        return None, None  # that loop is gone, or looks like another
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
