"""Networks as PyTorch modules in one Python file."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from wgan_jax.errors import ExportError
from wgan_jax.export.graph import Graph, Operation, Tensor
from wgan_jax.export.priors import draw_text

_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "matmul": "@",
    "power": "**",
    "greater_equal": ">=",
    "greater": ">",
    "less_equal": "<=",
    "less": "<",
    "equal": "==",
    "not_equal": "!=",
}
_METHODS = (
    "abs",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "log",
    "log1p",
    "neg",
    "rsqrt",
    "sigmoid",
    "sqrt",
    "tanh",
)
_DTYPES = {"float32": "float32", "int32": "int32", "bool": "bool", "int64": "int64"}

_HEADER = '''"""{title}

Written by wgan_jax. It needs torch and safetensors, and the file {weights} beside it:

    generator = Generator()
    images = generator({example})  # {shape}{bounds}
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

WEIGHTS = Path(__file__).with_name("{weights}")


def images_first(function, x, kernel, **options):
    """Applies a convolution of torch to images in NHWC."""
    y = function(x.permute(0, 3, 1, 2), kernel, **options)
    return y.permute(0, 2, 3, 1)


class Generator(torch.nn.Module):
    """Maps {inputs} to {output}{bounds}."""

    def __init__(self, weights=WEIGHTS):
        super().__init__()
        for name, array in load_file(weights).items():
            self.register_buffer(name.replace(".", "_"), array.float())

    def forward(self, {arguments}):
'''


def to_pytorch(graph: Graph, *, title: str, weights: str, prior: str = "normal") -> str:
    """Writes a graph as a Python file with a PyTorch module.

    Args:
        graph: the network.
        title: first line of the file.
        weights: name of the safetensors file with its weights.
        prior: distribution of the latents in the example of the file.

    Returns:
        The text of the file.

    Raises:
        ExportError: if the network has a constant that is not a weight.
    """
    lines = [
        f"{_name(operation.output)} = {_expression(operation)}"
        for operation in graph.operations
    ]
    lines.append(f"return {_name(graph.output)}")
    names = [x.name for x in graph.inputs]
    size = graph.inputs[0].shape[1]
    examples = [draw_text(prior, n=8, size=size).torch]
    inputs = ["latents [batch, size]"]
    if len(names) > 1:
        examples.append("torch.arange(8)")
        inputs.append("labels [batch]")
    shape = [8, *graph.output.shape[1:]]
    are_images = len(shape) == 4
    head = _HEADER.format(
        title=json.dumps(title)[1:-1].rstrip(".") + ".",
        weights=weights,
        example=", ".join(examples),
        shape=shape,
        output="images [batch, height, width, channels]" if are_images else "examples",
        bounds=" in [-1, 1]" if are_images else "",
        inputs=" and ".join(inputs),
        arguments=", ".join(names),
    )
    return head + "".join(f"        {line}\n" for line in lines)


def _name(x: Any) -> str:
    """Returns the expression of an input, weight, result or number."""
    if not isinstance(x, Tensor):
        finite = not isinstance(x, float) or math.isfinite(x)
        return repr(x) if finite else f"float('{x}')"
    if "." in x.name:  # a weight
        return f"self.{x.name.replace('.', '_')}"
    return x.name


def _expression(operation: Operation) -> str:
    kind, names = operation.kind, [_name(x) for x in operation.inputs]
    constant = [
        x for x in operation.inputs if isinstance(x, Tensor) and x.name.startswith("=")
    ]
    if constant:
        raise ExportError(
            "the network has a constant array that is not a weight, which cannot be "
            "exported to PyTorch; export it as StableHLO."
        )
    if kind in _INFIX:
        return f"{names[0]} {_INFIX[kind]} {names[1]}"
    if kind in _METHODS:
        return f"{names[0]}.{kind}()"
    return _RULES[kind](names, operation)


def _extreme(names: Sequence[str], operation: Operation) -> str:
    numbers = [x for x in operation.inputs if not isinstance(x, Tensor)]
    if not numbers:
        return f"torch.{operation.kind}imum({', '.join(names)})"
    tensor = next(
        name
        for name, x in zip(names, operation.inputs, strict=True)
        if isinstance(x, Tensor)
    )
    bound = "min" if operation.kind == "max" else "max"
    return f"{tensor}.clamp({bound}={_name(numbers[0])})"


def _where(names: Sequence[str], operation: Operation) -> str:
    return f"torch.where({', '.join(names)})"


def _reshape(names: Sequence[str], operation: Operation) -> str:
    return f"{names[0]}.reshape{_tuple(operation.options['shape'])}"


def _expand(names: Sequence[str], operation: Operation) -> str:
    between, shape = operation.options["between"], operation.options["shape"]
    name = names[0]
    if not isinstance(operation.inputs[0], Tensor):
        name = f"torch.tensor({name})"
    return f"{name}.reshape{_tuple(between)}.expand{_tuple(shape)}"


def _transpose(names: Sequence[str], operation: Operation) -> str:
    return f"{names[0]}.permute{_tuple(operation.options['axes'])}"


def _cast(names: Sequence[str], operation: Operation) -> str:
    return f"{names[0]}.to(torch.{_DTYPES[operation.options['dtype']]})"


def _concat(names: Sequence[str], operation: Operation) -> str:
    return f"torch.cat([{', '.join(names)}], {operation.options['axis']})"


def _stack(names: Sequence[str], operation: Operation) -> str:
    return f"torch.stack([{', '.join(names)}], {operation.options['axis']})"


def _sum(names: Sequence[str], operation: Operation) -> str:
    return f"{names[0]}.sum({_tuple(operation.options['axes'])})"


def _flip(names: Sequence[str], operation: Operation) -> str:
    return f"{names[0]}.flip{_tuple(operation.options['axes'])}"


def _slice(names: Sequence[str], operation: Operation) -> str:
    cut = operation.options["cut"]
    parts = [
        f"{cut[axis][0]}:{cut[axis][1]}:{cut[axis][2]}" if axis in cut else ":"
        for axis in range(max(cut) + 1)
    ]
    return f"{names[0]}[{', '.join(parts)}]"


def _pad(names: Sequence[str], operation: Operation) -> str:
    pads = operation.options["pads"]
    flat = [side for pair in reversed(pads) for side in pair]
    return f"F.pad({names[0]}, {_tuple(flat)}, value={names[1]})"


def _take(names: Sequence[str], operation: Operation) -> str:
    return f"{names[0]}[{names[1]}.reshape(-1).long()]"


def _einsum(names: Sequence[str], operation: Operation) -> str:
    return f"torch.einsum({operation.options['text']!r}, {', '.join(names)})"


def _conv(names: Sequence[str], operation: Operation) -> str:
    options = operation.options
    (top, bottom), (left, right) = options["pads"]
    images, more = names[0], f"stride={options['stride']}"
    if (top, left) == (bottom, right):
        more += f", padding={_tuple((top, left))}"
    else:
        images = f"F.pad({images}, {_tuple((0, 0, left, right, top, bottom))})"
    if options["groups"] > 1:
        more += f", groups={options['groups']}"
    kernel = f"{names[1]}.permute(3, 2, 0, 1)"
    return f"images_first(F.conv2d, {images}, {kernel}, {more})"


def _conv_transpose(names: Sequence[str], operation: Operation) -> str:
    options = operation.options
    (top, bottom), (left, right) = options["pads"]
    below, beside = options["extra"]
    # torch crops both sides by the same number; more is cropped, or added, at the end.
    extra = (below - (bottom - top), beside - (right - left))
    kernel = f"{names[1]}.permute(3, 2, 0, 1)"
    if options["flipped"]:
        kernel = f"{names[1]}.flip(0, 1).permute(2, 3, 0, 1)"
    more = f"stride={options['stride']}, padding={_tuple((top, left))}"
    crop = ""
    if min(extra) < 0:
        crop = "[:, " + ", ".join(f":{e}" if e < 0 else ":" for e in extra) + "]"
        extra = (max(extra[0], 0), max(extra[1], 0))
    if any(extra):
        more += f", output_padding={_tuple(extra)}"
    return f"images_first(F.conv_transpose2d, {names[0]}, {kernel}, {more}){crop}"


def _tuple(values: Sequence[int]) -> str:
    return f"({', '.join(map(str, values))}{',' if len(values) == 1 else ''})"


_RULES: dict[str, Callable[[Sequence[str], Operation], str]] = {
    "max": _extreme,
    "min": _extreme,
    "where": _where,
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
