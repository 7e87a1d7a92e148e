"""Reads the jaxpr of a network as a graph of operations.

It is traced with a recognizable batch size. Each of its equations becomes one
operation, by a rule of ``rules.py``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal, jaxpr_as_fun

from wgan_jax.errors import ExportError
from wgan_jax.export.graph import BATCH, Graph, Operation, Tensor, batched
from wgan_jax.export.rules import RULES, Rule

# Calls of a function, by their names in all supported versions of JAX.
_CALLS = {
    "call",
    "checkpoint",
    "closed_call",
    "composite",
    "core_call",
    "core_closed_call",
    "custom_jvp_call",
    "custom_jvp_call_jaxpr",
    "custom_vjp_call",
    "custom_vjp_call_jaxpr",
    "jit",
    "pjit",
    "remat",
    "remat2",
}
_MOST_STEPS = 100  # of a loop that is written out


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
        ExportError: if the network has an operation that other formats lack, or
            an example depends on the others of its batch.
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
        if array.ndim > 0:
            shape = batched(array.shape)
            return Tensor(f"={self._name()}", shape, str(array.dtype), array)
        number: float = array.item()
        if number == BATCH:
            raise ExportError(
                "the network computes with the size of its batch, which cannot be "
                "exported to ONNX or PyTorch; each example must depend on its own "
                "inputs alone."
            )
        return number

    def run(self, jaxpr: Any, arguments: Sequence[Any]) -> list[Any]:
        """Reads all equations and returns the results."""
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], arguments, strict=True))

        def read(atom: Any) -> Any:
            if isinstance(atom, Literal):
                return self.constant(atom.val)
            return values[atom]

        for equation in _used(jaxpr):
            results = self._results(equation, [read(x) for x in equation.invars])
            values |= zip(equation.outvars, results, strict=True)
        return [read(atom) for atom in jaxpr.outvars]

    def _results(self, equation: Any, inputs: list[Any]) -> list[Any]:
        """Reads an equation and returns its results."""
        name, params = equation.primitive.name, equation.params
        inner = _inner(params) if name in _CALLS else None
        if name == "scan" and 0 < params["length"] <= _MOST_STEPS:
            inner = _written_out(equation)
        if inner is not None:
            jaxpr, consts = inner
            return self.run(jaxpr, [*map(self.constant, consts), *inputs])
        rule, values = RULES.get(name), None
        if rule is not None:
            _check_batch(equation)
        if all(not isinstance(x, Tensor) or x.value is not None for x in inputs):
            values = _computed(equation, inputs)
            if rule is None or values[0].ndim == 0:
                return [self.constant(value) for value in values]
        if rule is None:
            raise _unknown(equation)
        value = None if values is None else values[0]
        return [self._operation(rule, equation, inputs, value)]

    def _operation(
        self, rule: Rule, equation: Any, inputs: list[Any], value: np.ndarray | None
    ) -> Any:
        aval = equation.outvars[0].aval
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


def _used(jaxpr: Any) -> list[Any]:
    """Returns the equations that the results depend on."""
    wanted, found = set(map(id, jaxpr.outvars)), []
    for equation in reversed(jaxpr.eqns):
        if not wanted.isdisjoint(map(id, equation.outvars)):
            found.append(equation)
            wanted |= set(map(id, equation.invars))
    return found[::-1]


def _inner(params: Mapping[str, Any]) -> tuple[Any, Sequence[Any]] | None:
    """Returns the jaxpr of a call and its constants."""
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        found = params.get(name)
        if found is not None:
            return (
                (found.jaxpr, found.consts) if hasattr(found, "jaxpr") else (found, ())
            )
    return None


def _written_out(equation: Any) -> tuple[Any, Sequence[Any]]:
    """Returns the jaxpr of all iterations of a scan, one after the other."""
    params = equation.params
    step, length = jaxpr_as_fun(params["jaxpr"]), params["length"]
    first, carried = params["num_consts"], params["num_carry"]

    def all_steps(*inputs: Any) -> list[Any]:
        consts, state = inputs[:first], list(inputs[first : first + carried])
        rows: list[Any] = [None] * length
        for i in reversed(range(length)) if params["reverse"] else range(length):
            xs = (
                jax.lax.index_in_dim(x, i, 0, False) for x in inputs[first + carried :]
            )
            results = step(*consts, *state, *xs)
            state, rows[i] = list(results[:carried]), results[carried:]
        return [*state, *(jnp.stack(column) for column in zip(*rows, strict=True))]

    avals = [x.aval for x in equation.invars]
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]
    closed = jax.make_jaxpr(all_steps)(*shapes)
    return closed.jaxpr, closed.consts


def _computed(equation: Any, inputs: Sequence[Any]) -> list[np.ndarray]:
    """Returns the results of an equation whose inputs are known."""
    primitive, arrays = equation.primitive, []
    for x, atom in zip(inputs, equation.invars, strict=True):
        known = x.value if isinstance(x, Tensor) else x
        arrays.append(jnp.asarray(known, atom.aval.dtype))
    results = primitive.bind(*arrays, **equation.params)
    results = results if primitive.multiple_results else [results]
    return [np.asarray(result) for result in results]


def _check_batch(equation: Any) -> None:
    """Raises ExportError if results depend on several examples of the batch."""
    name, shapes = equation.primitive.name, [x.aval.shape for x in equation.invars]
    output = equation.outvars[0].aval.shape
    counts = [shape.count(BATCH) for shape in shapes]
    if not any(counts):
        return
    mixes = max(counts) > 1 or output.count(BATCH) != 1
    if name == "gather":  # rows of a table
        mixes |= counts[0] > 0
    if name == "rev":
        mixes |= any(output[axis] == BATCH for axis in equation.params["dimensions"])
    if name == "reshape" and not mixes:
        before, after = (x[: x.index(BATCH)] for x in (shapes[0], output))
        mixes = math.prod(before) != math.prod(after)
    if mixes:
        raise ExportError(
            f"the network combines the examples of a batch in the operation {name!r}, "
            "which cannot be exported to ONNX or PyTorch; each example must depend on "
            "its own inputs alone."
        )


def _unknown(equation: Any) -> ExportError:
    """Returns the error of an operation that other formats lack."""
    name, more = equation.primitive.name, ""
    if name == "scan" and equation.params["length"] == BATCH:
        return ExportError(
            "the network has a loop over the examples of its batch (the operation "
            "'scan'), which cannot be exported to ONNX or PyTorch; compute all "
            "examples at once, such as with jax.vmap."
        )
    if name == "scan":
        more = f", or use a loop of 1 to {_MOST_STEPS} iterations"
    elif name == "while":
        more = ", or write the loop in Python"
    elif name == "reduce":
        more = ", or use jnp.sum"
    return ExportError(
        f"the network has the operation {name!r}, which cannot be exported to ONNX or "
        f"PyTorch; export it as StableHLO{more}."
    )
