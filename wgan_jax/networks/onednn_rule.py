"""Chooses which convolutions and products run on oneDNN, and in which form.

The rule depends on shape and dtype. It is based on measurements with
``benchmarks/forms.py`` on a processor with AMX and AVX-512. ``None`` or False
leaves a map or a product to XLA.
"""

from collections.abc import Callable
from typing import Any

from jax.export import is_symbolic_dim
from jax.interpreters import mlir

from wgan_jax.networks import onednn_support
from wgan_jax.networks.geometry import Geometry
from wgan_jax.networks.onednn_forms import (
    backward_convolution,
    backward_joined,
    backward_phases,
    backward_product,
    forward_convolution,
    forward_product,
    has_phases,
    is_dense,
    is_product,
    kernel_convolution,
    kernel_product,
    kernel_windows,
)
from wgan_jax.types import Array

# Below this number of multiplications, a call saves little or no time. Programs without
# such calls can be stored in the compilation cache.
SMALLEST = 5_000_000
_NARROW = 8  # channels
# With fewer channels, oneDNN's bfloat16 convolution is wrong for large kernels:
# observed with 4 and 8 channels and kernels of 16x16 and 32x32 in jaxlib 0.10.2.
_AMX_CHANNELS = 16
_LONG = 2_048  # terms of a sum
_LARGE_PRODUCT = 50_000_000  # multiplications
_SMALL_MAP = 64  # pixels: 8x8
_LARGE_MAP = 256  # pixels: 16x16


def lowering(name: str, form: Callable[..., Array]) -> Callable[..., Any]:
    """Returns a CPU lowering rule that uses oneDNN for a map where it is faster.

    Args:
        name: ``forward``, ``backward`` or ``kernel``.
        form: XLA implementation, used otherwise.

    Returns:
        The lowering rule.
    """

    def rule(ctx: Any, a: Any, b: Any, *, geometry: Geometry) -> Any:
        first, second = ctx.avals_in
        inputs, outputs = second.shape[2:]
        if name == "kernel":  # operands are images and gradients, no kernel
            inputs, outputs = first.shape[3], second.shape[3]
        chosen = choose(
            name,
            first.dtype.name,
            geometry=geometry,
            batch=first.shape[0],
            inputs=inputs,
            outputs=outputs,
        )
        # Checked last, because a program with only small maps needs no trial.
        if chosen is not None and not onednn_support.takes(ctx, first.dtype.name):
            chosen = None
        lower = mlir.lower_fun(chosen or form, multiple_results=False)
        return lower(ctx, a, b, geometry=geometry)

    return rule


def choose(
    name: str, dtype: str, *, geometry: Geometry, batch: int, inputs: int, outputs: int
) -> Callable[..., Array] | None:
    """Returns the fastest oneDNN form of a map, or None for XLA's.

    Args:
        name: ``forward``, ``backward`` or ``kernel``.
        dtype: ``float32`` or ``bfloat16``.
        geometry: geometry of the convolution.
        batch: batch size B.
        inputs: input channels I of the convolution.
        outputs: output channels O of the convolution.

    Returns:
        A function with the signature of those in ``forms``.
    """
    pixels = geometry.output[0] * geometry.output[1]
    taps = geometry.kernel[0] * geometry.kernel[1]
    low = dtype == "bfloat16"
    if is_symbolic_dim(batch):  # only in exported programs, which have no such calls
        return None
    multiplications = batch * pixels * taps * inputs * outputs
    if multiplications < SMALLEST:
        return None
    if geometry.whole and not takes_product(
        dtype,
        multiplications,
        inner={"forward": taps * inputs, "backward": outputs, "kernel": batch}[name],
        transposed=name == "kernel",
    ):
        return None
    if name == "kernel":
        return _kernel(low, geometry, pixels, inputs, outputs, batch)
    rule = {"forward": _forward, "backward": _backward}[name]
    return rule(low, geometry, pixels, inputs, outputs)


def takes_product(
    dtype: str, multiplications: int, *, inner: int, transposed: bool
) -> bool:
    """Returns whether oneDNN's matrix product is faster than XLA's.

    XLA uses YNNPACK for float32 products. It is as fast as oneDNN, except for a
    transposed left operand and for long sums.

    Args:
        dtype: ``float32`` or ``bfloat16``.
        multiplications: number of multiplications of the product.
        inner: number of terms of each sum.
        transposed: whether the left operand is transposed.
    """
    if is_symbolic_dim(multiplications) or multiplications < SMALLEST:
        return False
    if dtype == "bfloat16" or inner >= _LONG:
        return True
    return transposed and multiplications >= _LARGE_PRODUCT


def _forward(
    low: bool, geometry: Geometry, pixels: int, inputs: int, outputs: int
) -> Callable[..., Array] | None:
    if is_product(geometry):
        return forward_product
    taps = geometry.kernel[0] * geometry.kernel[1]
    deep = pixels < _SMALL_MAP and taps * inputs >= 2048
    return forward_convolution if low or not (outputs < _NARROW or deep) else None


def _backward(
    low: bool, geometry: Geometry, pixels: int, inputs: int, outputs: int
) -> Callable[..., Array] | None:
    if is_product(geometry):
        return backward_product
    if is_dense(geometry):
        return backward_convolution if low or inputs >= _NARROW else None
    if not has_phases(geometry):
        return None
    if low and (pixels >= _LARGE_MAP or inputs < _NARROW):
        return backward_joined
    return backward_phases if low or inputs >= _NARROW else None


def _kernel(
    low: bool,
    geometry: Geometry,
    pixels: int,
    inputs: int,
    outputs: int,
    batch: int,
) -> Callable[..., Array] | None:
    if is_product(geometry):
        return kernel_product
    if min(inputs, outputs) < _NARROW:
        return None
    if low and batch < _AMX_CHANNELS:
        return None
    if low and is_dense(geometry) and pixels >= _LARGE_MAP:
        return kernel_windows
    return kernel_convolution if low or pixels <= _SMALL_MAP else None
