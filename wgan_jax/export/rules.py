"""Operations of a jaxpr, and what they are in a graph."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wgan_jax.errors import ExportError
from wgan_jax.export.graph import batched

Rule = Callable[[Any, list[Any]], tuple[str, Sequence[Any], dict[str, Any]]]


def _plain(kind: str) -> Rule:
    return lambda equation, inputs: (kind, inputs, {})


def _reshape(equation: Any, inputs: list[Any]) -> Any:
    return "reshape", inputs[:1], {"shape": batched(equation.params["new_sizes"])}


def _squeeze(equation: Any, inputs: list[Any]) -> Any:
    shape = batched(equation.outvars[0].aval.shape)
    return "reshape", inputs[:1], {"shape": shape}


def _expand(equation: Any, inputs: list[Any]) -> Any:
    shape = batched(equation.params["shape"])
    dims = equation.params["broadcast_dimensions"]
    between = [1] * len(shape)
    for axis, dim in enumerate(dims):
        between[dim] = batched(equation.invars[0].aval.shape)[axis]
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
    if isinstance(condition, bool):  # such as whether a variance has degrees of freedom
        return "same", [true if condition else false], {}
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
    specs = (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec)
    strides, steps = params["window_strides"], params["lhs_dilation"]
    groups = params["feature_group_count"]
    sides = [equation.invars[1].aval.shape[axis] for axis in numbers.rhs_spec[2:]]
    transposed = [
        (k - 1 - low, k - 1 - high)
        for k, (low, high) in zip(sides, padding, strict=True)
    ]
    if (
        len(strides) != 2
        or len(set(strides)) > 1
        or len(set(steps)) > 1
        or set(params["rhs_dilation"]) != {1}
        or params["batch_group_count"] > 1
        or (steps[0] > 1 and (strides[0] > 1 or groups > 1))
        or (steps[0] > 1 and min(min(pair) for pair in transposed) < 0)
    ):
        raise ExportError(
            "the network has a convolution with dilation, or of other than two "
            "dimensions, which cannot be exported to ONNX or PyTorch; export it as "
            "StableHLO."
        )
    layout = {"layout": _layout(*specs)}
    if steps[0] > 1:
        options = {"stride": steps[0], "pads": tuple(transposed), "extra": (0, 0)}
        return "conv_transpose", inputs, options | {"flipped": True} | layout
    pads = tuple((low, high) for low, high in padding)
    options = {"stride": strides[0], "pads": pads, "groups": groups}
    return "conv", inputs, options | layout


def _layout(images: Any, kernel: Any, output: Any) -> Any:
    """Returns the transpositions to NHWC, to HWIO, and from NHWC to the output."""
    batch, features, *sides = images
    outputs, inputs, *window = kernel
    axes = (output[0], *output[2:], output[1])
    return (
        (batch, *sides, features),
        (*window, inputs, outputs),
        tuple(axes.index(axis) for axis in range(4)),
    )


RULES: dict[str, Rule] = {
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
