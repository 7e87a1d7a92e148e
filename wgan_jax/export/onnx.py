"""Networks as ONNX models."""

from collections.abc import Callable
from typing import Any

import numpy as np

from wgan_jax.errors import ExportError
from wgan_jax.export.graph import Graph, Operation, Tensor

OPSET = 17  # the newest that onnxruntime-web has run since 2022
_BATCH = "batch"
_SIMPLE = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "min": "Min",
    "neg": "Neg",
    "abs": "Abs",
    "exp": "Exp",
    "log": "Log",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "erf": "Erf",
    "sqrt": "Sqrt",
    "matmul": "MatMul",
    "power": "Pow",
    "where": "Where",
    "greater_equal": "GreaterOrEqual",
    "greater": "Greater",
    "less_equal": "LessOrEqual",
    "less": "Less",
    "equal": "Equal",
}


def to_onnx(graph: Graph, *, output: str, description: str = "") -> bytes:
    """Writes a graph as an ONNX model of operator set ``OPSET``.

    Args:
        graph: the network.
        output: name of the output.
        description: text of the model's description.

    Returns:
        The serialized model. Its first axes are the batch, of any size.

    Raises:
        ExportError: if the package onnx is missing.
    """
    try:
        import onnx
    except ImportError as error:
        raise ExportError(
            "ONNX needs the package onnx; install it with pip install "
            "'wgan-jax[export]'."
        ) from error
    writer = _Writer(onnx)
    for operation in graph.operations:
        if operation.output.value is None:
            writer.write(operation)
    writer.node("Identity", [writer.name_of(graph.output)], output)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            writer.nodes,
            "generator",
            [writer.declared(x, x.name) for x in graph.inputs],
            [writer.declared(graph.output, output)],
            list(writer.constants.values()),
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        producer_name="wgan_jax",
        doc_string=description,
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


class _Writer:
    """Nodes and constants of a model."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self._count = 0

    def declared(self, tensor: Tensor, name: str) -> Any:
        """Returns the declaration of an input or output."""
        shape = [_BATCH if side == -1 else side for side in tensor.shape]
        kind = self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def node(
        self, kind: str, inputs: list[str], output: str | None = None, **options: Any
    ) -> str:
        """Adds a node, and returns the name of its output."""
        self._count += 1
        output = output or f"n{self._count}"
        made = self.onnx.helper.make_node(kind, inputs, [output], **options)
        self.nodes.append(made)
        return output

    def constant(self, array: Any, name: str | None = None) -> str:
        """Adds a constant, and returns its name."""
        array = np.asarray(array)
        self._count += 1
        name = name or f"c{self._count}"
        if name not in self.constants:
            made = self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
            self.constants[name] = made
        return name

    def name_of(self, x: Any, dtype: str = "float32") -> str:
        """Returns the name of a tensor or number."""
        if not isinstance(x, Tensor):
            return self.constant(np.asarray(x, dtype))
        if x.value is None:
            return x.name
        return self.constant(_for_any_batch(x), x.name)

    def write(self, operation: Operation) -> None:
        """Adds the nodes of an operation."""
        kind, output = operation.kind, operation.output.name
        if kind in _RULES:
            _RULES[kind](self, operation)
            return
        tensors = [x for x in operation.inputs if isinstance(x, Tensor)]
        dtype = tensors[-1].dtype if kind != "where" else operation.output.dtype
        names = []
        for i, x in enumerate(operation.inputs):
            bools = kind == "where" and i == 0
            names.append(self.name_of(x, "bool" if bools else dtype))
        self.node(_SIMPLE[kind], names, output)

    def swapped(self, name: str, *axes: int, output: str | None = None) -> str:
        """Adds a transposition."""
        return self.node("Transpose", [name], output, perm=list(axes))


def _rsqrt(writer: _Writer, operation: Operation) -> None:
    root = writer.node("Sqrt", [writer.name_of(operation.inputs[0])])
    writer.node("Reciprocal", [root], operation.output.name)


def _for_any_batch(x: Tensor) -> np.ndarray:
    """Returns a constant array; of equal rows for each example, a single one."""
    assert x.value is not None
    value = x.value
    for axis, side in enumerate(x.shape):
        if side == -1:
            first = value.take([0], axis)
            if not np.array_equal(value, np.broadcast_to(first, value.shape)):
                raise ExportError(
                    "the network has a constant that depends on the position in the "
                    "batch, and cannot be exported to ONNX; export it as StableHLO."
                )
            value = first
    return value


def _erfc(writer: _Writer, operation: Operation) -> None:
    error = writer.node("Erf", [writer.name_of(operation.inputs[0])])
    writer.node("Sub", [writer.name_of(1.0), error], operation.output.name)


def _expm1(writer: _Writer, operation: Operation) -> None:
    power = writer.node("Exp", [writer.name_of(operation.inputs[0])])
    writer.node("Sub", [power, writer.name_of(1.0)], operation.output.name)


def _log1p(writer: _Writer, operation: Operation) -> None:
    more = [writer.name_of(operation.inputs[0]), writer.name_of(1.0)]
    writer.node("Log", [writer.node("Add", more)], operation.output.name)


def _not_equal(writer: _Writer, operation: Operation) -> None:
    names = [writer.name_of(x) for x in operation.inputs]
    writer.node("Not", [writer.node("Equal", names)], operation.output.name)


def _reshape(writer: _Writer, operation: Operation) -> None:
    shape = writer.constant(np.array(operation.options["shape"], np.int64))
    inputs = [writer.name_of(operation.inputs[0]), shape]
    writer.node("Reshape", inputs, operation.output.name)


def _expand(writer: _Writer, operation: Operation) -> None:
    between = writer.constant(np.array(operation.options["between"], np.int64))
    name = writer.name_of(operation.inputs[0])
    shape = operation.options["shape"]
    if -1 in shape and -1 not in operation.options["between"]:
        raise ExportError(
            "the network repeats a constant for each example, which cannot be exported "
            "to ONNX; export it as StableHLO."
        )
    name = writer.node("Reshape", [name, between])
    # A side of 1 leaves that of the input, whatever the batch is.
    target = writer.constant(np.array([max(side, 1) for side in shape], np.int64))
    writer.node("Expand", [name, target], operation.output.name)


def _transpose(writer: _Writer, operation: Operation) -> None:
    name = writer.name_of(operation.inputs[0])
    writer.swapped(name, *operation.options["axes"], output=operation.output.name)


def _cast(writer: _Writer, operation: Operation) -> None:
    dtype = np.dtype(operation.options["dtype"])
    kind = writer.onnx.helper.np_dtype_to_tensor_dtype(dtype)
    name = writer.name_of(operation.inputs[0])
    writer.node("Cast", [name], operation.output.name, to=kind)


def _concat(writer: _Writer, operation: Operation) -> None:
    names = [writer.name_of(x) for x in operation.inputs]
    axis = operation.options["axis"]
    writer.node("Concat", names, operation.output.name, axis=axis)


def _stack(writer: _Writer, operation: Operation) -> None:
    axis = operation.options["axis"]
    axes = writer.constant(np.array([axis], np.int64))
    names = [
        writer.node("Unsqueeze", [writer.name_of(x), axes]) for x in operation.inputs
    ]
    writer.node("Concat", names, operation.output.name, axis=axis)


def _sum(writer: _Writer, operation: Operation) -> None:
    axes = writer.constant(np.array(operation.options["axes"], np.int64))
    inputs = [writer.name_of(operation.inputs[0]), axes]
    writer.node("ReduceSum", inputs, operation.output.name, keepdims=0)


def _cut(
    writer: _Writer, name: str, cut: dict[int, tuple[int, int, int]], output: str | None
) -> str:
    """Adds a slice: start, stop and step by axis."""
    rows = np.array([(*part, axis) for axis, part in cut.items()], np.int64)
    starts, stops, steps, axes = (writer.constant(row) for row in rows.T)
    return writer.node("Slice", [name, starts, stops, axes, steps], output)


def _flip(writer: _Writer, operation: Operation) -> None:
    last = np.iinfo(np.int64).min + 1
    cut = dict.fromkeys(operation.options["axes"], (-1, last, -1))
    name = writer.name_of(operation.inputs[0])
    _cut(writer, name, cut, operation.output.name)


def _slice(writer: _Writer, operation: Operation) -> None:
    name = writer.name_of(operation.inputs[0])
    _cut(writer, name, operation.options["cut"], operation.output.name)


def _pad(writer: _Writer, operation: Operation) -> None:
    array, value = operation.inputs
    name, output = writer.name_of(array), operation.output.name
    pads = operation.options["pads"]
    cropped = {
        axis: (max(-low, 0), min(high, 0) or np.iinfo(np.int64).max, 1)
        for axis, (low, high) in enumerate(pads)
        if min(low, high) < 0
    }
    grown = [max(low, 0) for low, _ in pads] + [max(high, 0) for _, high in pads]
    if cropped:
        name = _cut(writer, name, cropped, output if not any(grown) else None)
    if any(grown):
        amounts = writer.constant(np.array(grown, np.int64))
        dtype = array.dtype if isinstance(array, Tensor) else "float32"
        fill = writer.name_of(value, dtype)
        writer.node("Pad", [name, amounts, fill], output)


def _take(writer: _Writer, operation: Operation) -> None:
    table, indices = operation.inputs
    flat = writer.constant(np.array([-1], np.int64))
    row = writer.node("Reshape", [writer.name_of(indices, "int32"), flat])
    inputs = [writer.name_of(table), row]
    writer.node("Gather", inputs, operation.output.name, axis=0)


def _einsum(writer: _Writer, operation: Operation) -> None:
    names = [writer.name_of(x) for x in operation.inputs]
    text = operation.options["text"]
    writer.node("Einsum", names, operation.output.name, equation=text)


def _kernel(operation: Operation) -> tuple[Any, np.ndarray, list[int]]:
    """Returns the images, the kernel, and the pads in the order of ONNX."""
    images, kernel = operation.inputs
    if not isinstance(kernel, Tensor) or kernel.value is None:
        raise ExportError(
            "the network computes a kernel from its inputs, which cannot be exported "
            "to ONNX; export it as StableHLO."
        )
    (top, bottom), (left, right) = operation.options["pads"]
    return images, kernel.value, [top, left, bottom, right]


def _conv(writer: _Writer, operation: Operation) -> None:
    images, kernel, pads = _kernel(operation)
    stride = operation.options["stride"]
    name = writer.swapped(writer.name_of(images), 0, 3, 1, 2)
    name = writer.node(
        "Conv",
        [name, writer.constant(kernel.transpose(3, 2, 0, 1))],
        strides=[stride, stride],
        pads=pads,
        group=operation.options["groups"],
    )
    writer.swapped(name, 0, 2, 3, 1, output=operation.output.name)


def _conv_transpose(writer: _Writer, operation: Operation) -> None:
    images, kernel, pads = _kernel(operation)
    stride = operation.options["stride"]
    if operation.options["flipped"]:
        kernel = kernel[::-1, ::-1].swapaxes(2, 3)
    name = writer.swapped(writer.name_of(images), 0, 3, 1, 2)
    name = writer.node(
        "ConvTranspose",
        [name, writer.constant(kernel.transpose(3, 2, 0, 1))],
        strides=[stride, stride],
        pads=pads,
        output_padding=list(operation.options["extra"]),
    )
    writer.swapped(name, 0, 2, 3, 1, output=operation.output.name)


_RULES: dict[str, Callable[[_Writer, Operation], None]] = {
    "erfc": _erfc,
    "expm1": _expm1,
    "log1p": _log1p,
    "not_equal": _not_equal,
    "rsqrt": _rsqrt,
    "reshape": _reshape,
    "expand": _expand,
    "transpose": _transpose,
    "cast": _cast,
    "concat": _concat,
    "stack": _stack,
    "sum": _sum,
    "flip": _flip,
    "slice": _slice,
    "pad": _pad,
    "take": _take,
    "einsum": _einsum,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
}
