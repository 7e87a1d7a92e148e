"""Reads the jaxpr of a network as a graph of operations.

It is traced with a recognizable batch size. Each of its equations becomes one
operation, by a rule of ``rules.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from wgan_jax.errors import ExportError
from wgan_jax.export.graph import Graph, Operation, Tensor, batched
from wgan_jax.export.rules import RULES


def trace(
    function: Callable[..., Any],
    weights: Mapping[str, np.ndarray],
    inputs: Mapping[str, jax.ShapeDtypeStruct],
) -> Graph:
    """Reads a network.

    Args:
        function: traceable ``function(weights, *inputs)`` that returns one array.
        weights: arrays by name.
        inputs: shapes and dtypes by name; the batch is ``BATCH``.

    Returns:
        The graph.

    Raises:
        ExportError: if the network has an operation that other formats lack.
    """
    closed = jax.make_jaxpr(function)(dict(weights), *inputs.values())
    names = sorted(weights)  # the order of the leaves of a dict
    reader = _Reader()
    known = {
        name: Tensor(name, weights[name].shape, str(weights[name].dtype), weights[name])
        for name in names
    }
    given = [Tensor(name, batched(x.shape), str(x.dtype)) for name, x in inputs.items()]
    arguments = [*(known[name] for name in names), *given]
    constants = [reader.constant(value) for value in closed.consts]
    [output] = reader.run(closed.jaxpr, [*constants, *arguments])
    if not isinstance(output, Tensor) or output.value is not None:
        raise ExportError("the network returns a constant, and cannot be exported.")
    return Graph(given, known, _needed(reader.operations, output), output)


def _needed(operations: Sequence[Operation], output: Tensor) -> list[Operation]:
    """Returns the operations that the output depends on."""
    wanted, found = {output.name}, list[Operation]()
    for operation in reversed(operations):
        if operation.output.name in wanted:
            found.append(operation)
            wanted |= {x.name for x in operation.inputs if isinstance(x, Tensor)}
    return found[::-1]


class _Reader:
    """Operations of the equations that were read so far."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._count = 0

    def constant(self, value: Any) -> Tensor | float:
        """Returns a constant of the jaxpr."""
        array = np.asarray(value)
        if array.ndim == 0:
            return array.item()
        return Tensor(f"={self._name()}", array.shape, str(array.dtype), array)

    def run(self, jaxpr: Any, arguments: Sequence[Any]) -> list[Any]:
        """Reads all equations and returns the results."""
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], arguments, strict=True))

        def read(atom: Any) -> Any:
            if isinstance(atom, Literal):
                return self.constant(atom.val)
            return values[atom]

        for equation in jaxpr.eqns:
            inputs = [read(atom) for atom in equation.invars]
            inner = _inner(equation)
            if inner is not None:
                jaxpr_in, consts = inner
                results = self.run(jaxpr_in, [*map(self.constant, consts), *inputs])
            else:
                results = [self._operation(equation, inputs)]
            values |= zip(equation.outvars, results, strict=True)
        return [read(atom) for atom in jaxpr.outvars]

    def _operation(self, equation: Any, inputs: list[Any]) -> Any:
        primitive, [variable] = equation.primitive, equation.outvars
        rule = RULES.get(primitive.name)
        value = None
        if all(not isinstance(x, Tensor) or x.value is not None for x in inputs):
            arrays = [x.value if isinstance(x, Tensor) else x for x in inputs]
            typed = [
                jnp.asarray(x, atom.aval.dtype)
                for x, atom in zip(arrays, equation.invars, strict=True)
            ]
            value = np.asarray(primitive.bind(*typed, **equation.params))
            if value.ndim == 0:
                return value.item()
        aval = variable.aval
        if rule is None and value is not None:
            name = f"={self._name()}"
            return Tensor(name, batched(aval.shape), str(aval.dtype), value)
        if rule is None:
            raise ExportError(
                f"the network has the operation {primitive.name!r}, which cannot be "
                "exported to ONNX or PyTorch; export it as StableHLO."
            )
        kind, used, options = rule(equation, inputs)
        if kind == "same":
            return used[0]
        shape, axes = batched(aval.shape), options.pop("layout", None)
        if axes is not None:  # images and kernel in the layout of an operation
            before, of_kernel, after = axes
            images, kernel = used
            used = [
                self._transposed(images, before),
                self._transposed(kernel, of_kernel),
            ]
            inner = [after.index(axis) for axis in range(len(after))]
            shape = tuple(shape[axis] for axis in inner)
            value = None if value is None else value.transpose(inner)
        output = Tensor(self._name(), shape, str(aval.dtype), value)
        self.operations.append(Operation(kind, tuple(used), output, options))
        return output if axes is None else self._transposed(output, axes[2])

    def _transposed(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        """Adds a transposition, unless the order is the same."""
        axes = tuple(axes)
        if axes == tuple(range(len(axes))):
            return x
        shape = tuple(x.shape[axis] for axis in axes)
        value = None if x.value is None else x.value.transpose(axes)
        output = Tensor(self._name(), shape, x.dtype, value)
        self.operations.append(Operation("transpose", (x,), output, {"axes": axes}))
        return output

    def _name(self) -> str:
        self._count += 1
        return f"x{self._count}"


def _inner(equation: Any) -> tuple[Any, Sequence[Any]] | None:
    """Returns the jaxpr of a call and its constants; None for an operation."""
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        found = equation.params.get(name)
        if found is not None:
            return (
                (found.jaxpr, found.consts) if hasattr(found, "jaxpr") else (found, ())
            )
    return None
