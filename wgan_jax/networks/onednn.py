"""oneDNN convolution and matrix product, as shipped with jaxlib on x86-64.

XLA's CPU backend does not choose them itself, but accepts them as custom calls:
a forward convolution with stride, zero padding and a dilated kernel, and a
product of two matrices. Both take float32 or bfloat16 and accumulate in
float32. bfloat16 is multiplied by AMX or AVX-512 instructions if the processor
has them. The names of the calls are internal to XLA, and a call that oneDNN
rejects terminates the process. ``onednn_support`` therefore tests them first in
a separate process.

The calls appear only while a CPU program is lowered, below differentiation,
``vmap`` and ``jax.export``. ``onednn_rule`` selects them in the lowering of
``conv`` and ``product``.
"""

import json
from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import mlir

from wgan_jax.networks.geometry import Padding
from wgan_jax.types import Array

_IMAGES = {
    "dims": "4",
    "data": {"batch_dim": "0", "feature_dim": "3", "spatial_dims": ["1", "2"]},
}
_KERNEL = {
    "dims": "4",
    "filter": {
        "input_feature_dim": "2",
        "output_feature_dim": "3",
        "spatial_dims": ["0", "1"],
    },
}


def convolution(
    x: Array,
    w: Array,
    *,
    stride: int = 1,
    padding: Padding,
    dilation: int = 1,
) -> Array:
    """Computes a cross-correlation like ``lax.conv_general_dilated``.

    Args:
        x: ``[B, H, W, I]``, float32 or bfloat16.
        w: ``[K, K', I, O]`` in the same dtype.
        stride: stride of both axes.
        padding: zero padding of the images; negative values are not allowed.
        dilation: dilation of the kernel.

    Returns:
        ``[B, h, w, O]`` in the same dtype.

    Raises:
        ValueError: if the padding is negative; oneDNN does not crop.
    """
    if min(low for pair in padding for low in pair) < 0:
        raise ValueError(
            f"onednn.convolution: padding is {padding}; it must be at least 0."
        )
    return _CONVOLUTION.bind(x, w, stride=stride, padding=padding, dilation=dilation)


def product(
    a: Array, b: Array, *, transpose_a: bool = False, transpose_b: bool = False
) -> Array:
    """Computes ``A B`` for two matrices, each optionally transposed.

    Args:
        a: ``[M, N]``, or ``[N, M]`` if transposed; float32 or bfloat16.
        b: ``[N, L]``, or ``[L, N]`` if transposed; in the same dtype.
        transpose_a: whether to transpose A.
        transpose_b: whether to transpose B.

    Returns:
        ``[M, L]`` in the same dtype.
    """
    return _PRODUCT.bind(a, b, transpose_a=transpose_a, transpose_b=transpose_b)


_CONVOLUTION = Primitive("wgan_jax_onednn_convolution")
_PRODUCT = Primitive("wgan_jax_onednn_product")


@_CONVOLUTION.def_abstract_eval
def _(
    x: Any, w: Any, *, stride: int, padding: Padding, dilation: int
) -> jax.core.ShapedArray:
    size = [
        (x.shape[1 + i] + sum(padding[i]) - dilation * (w.shape[i] - 1) - 1) // stride
        + 1
        for i in range(2)
    ]
    return jax.core.ShapedArray((x.shape[0], *size, w.shape[3]), x.dtype)


@_PRODUCT.def_abstract_eval
def _(a: Any, b: Any, *, transpose_a: bool, transpose_b: bool) -> jax.core.ShapedArray:
    shape = a.shape[int(transpose_a)], b.shape[1 - int(transpose_b)]
    return jax.core.ShapedArray(shape, a.dtype)


def _lower(target: str, config: Any, ctx: Any, *operands: Any) -> Any:
    def layout(aval: Any) -> tuple[int, ...]:
        return tuple(range(aval.ndim))[::-1]

    rule = jax.ffi.ffi_lowering(
        target,
        api_version=2,
        backend_config=json.dumps(config),
        operand_layouts=[layout(aval) for aval in ctx.avals_in],
        result_layouts=[layout(aval) for aval in ctx.avals_out],
    )
    return rule(ctx, *operands)


def _lower_convolution(
    ctx: Any, x: Any, w: Any, *, stride: int, padding: Padding, dilation: int
) -> Any:
    config = {
        "dims": "4",
        "input": _IMAGES,
        "kernel": _KERNEL,
        "output": _IMAGES,
        "window": {
            "size": _texts(ctx.avals_in[1].shape[:2]),
            "pad_left": _texts([low for low, _ in padding]),
            "pad_right": _texts([high for _, high in padding]),
            "strides": _texts([stride, stride]),
            "window_dilations": _texts([dilation, dilation]),
        },
        "fusions": {},
        "feature_groups": "1",
    }
    return _lower("__onednn$convolution", {"onednn_conv_config": config}, ctx, x, w)


def _lower_product(
    ctx: Any, a: Any, b: Any, *, transpose_a: bool, transpose_b: bool
) -> Any:
    config = {
        "transpose_a": transpose_a,
        "transpose_b": transpose_b,
        "fusions": {},
        "optimization_config": {},
    }
    return _lower("__onednn$matmul", {"onednn_matmul_config": config}, ctx, a, b)


def _texts(numbers: Sequence[int]) -> list[str]:
    return [str(number) for number in numbers]


for _primitive, _rule in (
    (_CONVOLUTION, _lower_convolution),
    (_PRODUCT, _lower_product),
):
    mlir.register_lowering(_primitive, _rule, platform="cpu")
