"""Networks as lists of operations, from which other formats are written.

The jaxpr of a network is read with a recognizable batch size. Each of its equations
becomes one operation of a small vocabulary, with images in NHWC and kernels in HWIO as
in the network. Operations on weights alone are marked and computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from wgan_jax.errors import ExportError

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
        kind: ``add``, ``conv`` and others; see ``_RULES``.
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
    given = [
        Tensor(name, _batched(x.shape), str(x.dtype)) for name, x in inputs.items()
    ]
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


def _batched(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(-1 if side == BATCH else side for side in shape)


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
        rule = _RULES.get(primitive.name)
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
        if rule is None:
            raise ExportError(
                f"the network has the operation {primitive.name!r}, which cannot be "
                "exported to ONNX or PyTorch; export it as StableHLO."
            )
        aval = variable.aval
        output = Tensor(self._name(), _batched(aval.shape), str(aval.dtype), value)
        kind, used, options = rule(equation, inputs)
        if kind == "same":
            return used[0]
        self.operations.append(Operation(kind, tuple(used), output, options))
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


_Rule = Callable[[Any, list[Any]], tuple[str, Sequence[Any], dict[str, Any]]]


def _plain(kind: str) -> _Rule:
    return lambda equation, inputs: (kind, inputs, {})


def _reshape(equation: Any, inputs: list[Any]) -> Any:
    return "reshape", inputs[:1], {"shape": _batched(equation.params["new_sizes"])}


def _squeeze(equation: Any, inputs: list[Any]) -> Any:
    shape = _batched(equation.outvars[0].aval.shape)
    return "reshape", inputs[:1], {"shape": shape}


def _expand(equation: Any, inputs: list[Any]) -> Any:
    shape = _batched(equation.params["shape"])
    dims = equation.params["broadcast_dimensions"]
    between = [1] * len(shape)
    for axis, dim in enumerate(dims):
        between[dim] = _batched(equation.invars[0].aval.shape)[axis]
    if tuple(between) == shape:
        return "reshape", inputs, {"shape": shape}
    return "expand", inputs, {"between": tuple(between), "shape": shape}


def _transpose(equation: Any, inputs: list[Any]) -> Any:
    return "transpose", inputs, {"axes": equation.params["permutation"]}


def _cast(equation: Any, inputs: list[Any]) -> Any:
    before, after = equation.invars[0].aval.dtype, equation.params["new_dtype"]
    if before == after:
        return "same", inputs, {}
    return "cast", inputs, {"dtype": str(np.dtype(after))}


def _where(equation: Any, inputs: list[Any]) -> Any:
    condition, false, true = inputs
    return "where", (condition, true, false), {}


def _concatenate(equation: Any, inputs: list[Any]) -> Any:
    return "concat", inputs, {"axis": equation.params["dimension"]}


def _stack(equation: Any, inputs: list[Any]) -> Any:
    return "stack", inputs, {"axis": equation.params["axis"]}


def _sum(equation: Any, inputs: list[Any]) -> Any:
    return "sum", inputs, {"axes": tuple(equation.params["axes"])}


def _flip(equation: Any, inputs: list[Any]) -> Any:
    return "flip", inputs, {"axes": tuple(equation.params["dimensions"])}


def _power(equation: Any, inputs: list[Any]) -> Any:
    return "power", (*inputs, float(equation.params["y"])), {}


def _square(equation: Any, inputs: list[Any]) -> Any:
    return "mul", (inputs[0], inputs[0]), {}


def _pad(equation: Any, inputs: list[Any]) -> Any:
    config = equation.params["padding_config"]
    if any(inner for _, _, inner in config):
        raise ExportError(
            "the network pads between elements, which cannot be exported to ONNX or "
            "PyTorch; export it as StableHLO."
        )
    array, value = inputs
    return (
        "pad",
        (array, value),
        {"pads": tuple((low, high) for low, high, _ in config)},
    )


def _slice(equation: Any, inputs: list[Any]) -> Any:
    params, shape = equation.params, equation.invars[0].aval.shape
    steps = params["strides"] or (1,) * len(shape)
    parts = zip(
        params["start_indices"], params["limit_indices"], steps, shape, strict=True
    )
    cut = {
        axis: (start, stop, step)
        for axis, (start, stop, step, side) in enumerate(parts)
        if (start, stop, step) != (0, side, 1)
    }
    return ("slice", inputs, {"cut": cut}) if cut else ("same", inputs, {})


def _take(equation: Any, inputs: list[Any]) -> Any:
    numbers, table = equation.params["dimension_numbers"], equation.invars[0].aval
    rows = tuple(equation.params["slice_sizes"]) == (1, *table.shape[1:])
    first = (
        tuple(numbers.start_index_map) == tuple(numbers.collapsed_slice_dims) == (0,)
    )
    if not rows or not first or numbers.operand_batching_dims:
        raise ExportError(
            "the network indexes an array in a way that cannot be exported to ONNX or "
            "PyTorch; export it as StableHLO."
        )
    return "take", inputs, {}


def _product(equation: Any, inputs: list[Any]) -> Any:
    if equation.params["transpose_a"] or equation.params["transpose_b"]:
        raise ExportError("the network multiplies transposed matrices.")
    return "matmul", inputs, {}


def _dot(equation: Any, inputs: list[Any]) -> Any:
    (left, right), batch = equation.params["dimension_numbers"]
    ranks = [atom.aval.ndim for atom in equation.invars]
    if (
        any(batch)
        or tuple(left) != (ranks[0] - 1,)
        or tuple(right) != (0,)
        or ranks[1] != 2
    ):
        letters = iter("abcdefghijklmnopqrstuvwxyz")
        (lb, rb) = batch
        first = [next(letters) for _ in range(ranks[0])]
        second = [""] * ranks[1]
        for i, j in (*zip(left, right, strict=True), *zip(lb, rb, strict=True)):
            second[j] = first[i]
        second = [letter or next(letters) for letter in second]
        shared = [first[i] for i in lb]
        free = [c for i, c in enumerate(first) if i not in (*left, *lb)]
        free += [c for j, c in enumerate(second) if j not in (*right, *rb)]
        text = f"{''.join(first)},{''.join(second)}->{''.join(shared + free)}"
        return "einsum", inputs, {"text": text}
    return "matmul", inputs, {}


def _own_conv(equation: Any, inputs: list[Any]) -> Any:
    geometry = equation.params["geometry"]
    return (
        "conv",
        inputs,
        {"stride": geometry.stride, "pads": geometry.padding, "groups": 1},
    )


def _own_transposed(equation: Any, inputs: list[Any]) -> Any:
    geometry = equation.params["geometry"]
    extra = tuple(
        side + low + high - k - geometry.stride * (out - 1)
        for side, (low, high), k, out in zip(
            geometry.size,
            geometry.padding,
            geometry.kernel,
            geometry.output,
            strict=True,
        )
    )
    return (
        "conv_transpose",
        inputs,
        {
            "stride": geometry.stride,
            "pads": geometry.padding,
            "extra": extra,
            "flipped": False,
        },
    )


def _conv(equation: Any, inputs: list[Any]) -> Any:
    params = equation.params
    numbers, padding = params["dimension_numbers"], params["padding"]
    layout = (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)
    strides, steps = params["window_strides"], params["lhs_dilation"]
    groups = params["feature_group_count"]
    sides = [equation.invars[1].aval.shape[axis] for axis in (0, 1)]
    transposed = [
        (k - 1 - low, k - 1 - high)
        for k, (low, high) in zip(sides, padding, strict=True)
    ]
    if (
        layout != ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
        or len(set(strides)) > 1
        or len(set(steps)) > 1
        or set(params["rhs_dilation"]) != {1}
        or params["batch_group_count"] > 1
        or (steps[0] > 1 and (strides[0] > 1 or groups > 1))
        or (steps[0] > 1 and min(min(pair) for pair in transposed) < 0)
    ):
        raise ExportError(
            "the network has a convolution with dilation or an unusual layout, which "
            "cannot be exported to ONNX or PyTorch; export it as StableHLO."
        )
    if steps[0] > 1:
        options = {"stride": steps[0], "pads": tuple(transposed), "extra": (0, 0)}
        return "conv_transpose", inputs, options | {"flipped": True}
    pads = tuple((low, high) for low, high in padding)
    return "conv", inputs, {"stride": strides[0], "pads": pads, "groups": groups}


_RULES: dict[str, _Rule] = {
    **{
        name: _plain(kind)
        for name, kind in {
            "add": "add",
            "add_any": "add",
            "sub": "sub",
            "mul": "mul",
            "div": "div",
            "max": "max",
            "min": "min",
            "neg": "neg",
            "abs": "abs",
            "exp": "exp",
            "expm1": "expm1",
            "log1p": "log1p",
            "ne": "not_equal",
            "log": "log",
            "tanh": "tanh",
            "logistic": "sigmoid",
            "erf": "erf",
            "erfc": "erfc",
            "sqrt": "sqrt",
            "rsqrt": "rsqrt",
            "ge": "greater_equal",
            "gt": "greater",
            "le": "less_equal",
            "lt": "less",
            "eq": "equal",
        }.items()
    },
    "broadcast_in_dim": _expand,
    "concatenate": _concatenate,
    "conv_general_dilated": _conv,
    "convert_element_type": _cast,
    "copy": lambda equation, inputs: ("same", inputs, {}),
    "dot_general": _dot,
    "gather": _take,
    "integer_pow": _power,
    "pad": _pad,
    "reduce_sum": _sum,
    "reshape": _reshape,
    "rev": _flip,
    "select_n": _where,
    "slice": _slice,
    "square": _square,
    "squeeze": _squeeze,
    "stack": _stack,
    "stop_gradient": lambda equation, inputs: ("same", inputs, {}),
    "transpose": _transpose,
    "wgan_jax_conv": _own_conv,
    "wgan_jax_conv_backward": _own_transposed,
    "wgan_jax_product": _product,
}
