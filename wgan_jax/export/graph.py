"""Networks as lists of operations, from which other formats are written.

The vocabulary of operations is small. Images are in NHWC and kernels in HWIO.
Operations on weights alone are marked and computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BATCH = 9973  # a prime that no other dimension has


@dataclass(frozen=True, eq=False)
class Tensor:
    """Input, weight or result.

    Attributes:
        name: unique name.
        shape: shape, with -1 for the batch.
        dtype: name of the dtype.
        value: the array if it depends on weights alone, else None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    value: np.ndarray | None = None


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        kind: ``add``, ``conv`` and others; see ``rules.RULES``.
        inputs: tensors, or numbers.
        output: its result.
        options: other arguments.
    """

    kind: str
    inputs: tuple[Tensor | float | int | bool, ...]
    output: Tensor
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Graph:
    """A network.

    Attributes:
        inputs: its inputs.
        weights: its weights by name.
        operations: in order.
        output: its result.
    """

    inputs: list[Tensor]
    weights: dict[str, Tensor]
    operations: list[Operation]
    output: Tensor


def batched(shape: Sequence[int]) -> tuple[int, ...]:
    """Returns a shape with -1 for the batch."""
    return tuple(-1 if side == BATCH else side for side in shape)
