"""The three maps of ``conv`` by oneDNN's calls, and the rule that chooses them.

oneDNN has a forward convolution and a matrix product here, and no gradients. The forms
state each map with these two. ``choose`` takes one by shape and dtype, from the
measurements of ``benchmarks/forms.py``, or leaves a map to XLA.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.interpreters import mlir

from wgan_jax.networks import onednn, onednn_support
from wgan_jax.networks.forms import phases_of
from wgan_jax.networks.geometry import Geometry, Padding
from wgan_jax.types import Array

# Multiplications below which a call saves little or nothing. A program with none of
# them can be kept in the compilation cache.
SMALLEST = 5_000_000
_NARROW = 8  # channels
# Channels below which oneDNN's bfloat16 convolution is wrong with large kernels: seen
# with 4 and 8 channels and kernels of 16x16 and 32x32, in jaxlib 0.10.2.
_AMX_CHANNELS = 16
_LONG = 2_048  # terms of a sum
_LARGE_PRODUCT = 50_000_000  # multiplications
_SMALL_MAP = 64  # pixels: 8x8
_LARGE_MAP = 256  # pixels: 16x16


def forward_convolution(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """``forward`` as it is."""
    return onednn.convolution(x, w, stride=geometry.stride, padding=geometry.padding)


def forward_product(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """``forward`` of a whole or a pointwise geometry as one product."""
    rows = x.reshape(_rows(x, geometry), -1)
    y = onednn.product(rows, w.reshape(-1, w.shape[3]))
    return y.reshape(x.shape[0], *geometry.output, w.shape[3])


def backward_convolution(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """``backward`` with stride 1: the kernel reversed, its channels exchanged."""
    w = w[::-1, ::-1].swapaxes(2, 3)
    pads = tuple(
        (k - 1 - low, side - out + low)
        for k, (low, _), side, out in zip(
            geometry.kernel,
            geometry.padding,
            geometry.size,
            geometry.output,
            strict=True,
        )
    )
    return _convolution(g, w, pads)


def backward_product(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """``backward`` of a whole or a pointwise geometry as one product."""
    rows = g.reshape(-1, g.shape[3])
    y = onednn.product(rows, w.reshape(-1, w.shape[3]), transpose_b=True)
    return y.reshape(g.shape[0], *geometry.size, w.shape[2])


def backward_phases(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """``backward`` as s^2 convolutions, one for each phase of the output."""
    s = geometry.stride
    rows, columns = (phases_of(geometry, axis) for axis in (0, 1))
    phases = []
    for row in rows:
        for column in columns:
            taps = w[row.first :: s, column.first :: s][::-1, ::-1].swapaxes(2, 3)
            phases.append(_convolution(g, taps, (row.padding, column.padding)))
    height, width = phases[0].shape[1:3]
    y = jnp.stack(phases, 3).reshape(-1, height, width, s, s, w.shape[2])
    return _shuffled(y, geometry)


def backward_joined(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """``backward`` as one convolution that makes all s^2 phases, as channels.

    The taps of a phase lie in a window that holds those of every phase, zeros around
    them: more multiplications than ``backward_phases``, in one pass over the input.
    """
    s = geometry.stride
    rows, columns = (phases_of(geometry, axis) for axis in (0, 1))
    low = [max(p.padding[0] for p in phases) for phases in (rows, columns)]
    high = [max(p.padding[1] for p in phases) for phases in (rows, columns)]
    parts = []
    for row in rows:
        for column in columns:
            taps = w[row.first :: s, column.first :: s][::-1, ::-1].swapaxes(2, 3)
            around = [
                (low[axis] - phase.padding[0], high[axis] - phase.padding[1])
                for axis, phase in enumerate((row, column))
            ]
            parts.append(jnp.pad(taps, (*around, (0, 0), (0, 0))))
    pads = ((low[0], high[0]), (low[1], high[1]))
    y = _convolution(g, jnp.concatenate(parts, 3), pads)
    return _shuffled(y.reshape(*y.shape[:3], s, s, w.shape[2]), geometry)


def kernel_convolution(x: Array, g: Array, *, geometry: Geometry) -> Array:
    """``kernel`` as a convolution of images whose channels are the batch."""
    s = geometry.stride
    pads = tuple(
        (low, s * (out - 1) + k - side - low)
        for k, (low, _), side, out in zip(
            geometry.kernel,
            geometry.padding,
            geometry.size,
            geometry.output,
            strict=True,
        )
    )
    y = _convolution(x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3), pads, dilation=s)
    return y.transpose(1, 2, 0, 3)


def kernel_product(x: Array, g: Array, *, geometry: Geometry) -> Array:
    """``kernel`` of a whole or a pointwise geometry as one product."""
    rows = x.reshape(_rows(x, geometry), -1)
    y = onednn.product(rows, g.reshape(-1, g.shape[3]), transpose_a=True)
    return y.reshape(*geometry.kernel, x.shape[3], g.shape[3])


def kernel_windows(x: Array, g: Array, *, geometry: Geometry) -> Array:
    r"""``kernel`` with stride 1 as one product of windows with shifted gradients.

    With the columns' taps moved to the images and the rows' taps to the gradients,

    .. math:: w_{t,u,c,o} = \sum_{b,r,j} X_{b,r,j,(u,c)}\, G_{b,r,j,(t,o)},
        \quad X_{b,r,j,(u,c)} = x_{b,r,j+u-p,c}, \quad G_{b,r,j,(t,o)} = g_{b,r-t+p,j,o}

    both of which are convolutions with kernels of zeros and ones, exact in bfloat16
    and faster than copying.
    """
    (k, m), (top, left) = geometry.kernel, (low for low, _ in geometry.padding)
    height, width = geometry.output
    (rows, columns), inputs, outputs = geometry.size, x.shape[3], g.shape[3]
    windows = _convolution(
        x,
        jnp.eye(m * inputs, dtype=x.dtype).reshape(1, m, inputs, m * inputs),
        ((0, 0), (left, width - 1 + m - columns - left)),
    )
    # Tap t of row r is gradient r - t + top: the last tap first.
    taps = jnp.eye(k * outputs, dtype=g.dtype).reshape(k, outputs, k, outputs)
    taps = taps[::-1].reshape(k, 1, outputs, k * outputs)
    shifted = _convolution(g, taps, ((k - 1 - top, rows - height + top), (0, 0)))
    y = onednn.product(
        windows.reshape(-1, m * inputs),
        shifted.reshape(-1, k * outputs),
        transpose_a=True,
    )
    return y.reshape(m, inputs, k, outputs).transpose(2, 0, 1, 3)


def _rows(x: Array, geometry: Geometry) -> int:
    """Of a product's left operand: examples of a whole geometry, else pixels."""
    return x.shape[0] if geometry.whole else x.shape[0] * x.shape[1] * x.shape[2]


def _shuffled(y: Array, geometry: Geometry) -> Array:
    """``[B, h, w, s, s, C]``, phases apart, to the output's pixels."""
    batch, height, width, s, _, channels = y.shape
    y = y.swapaxes(2, 3).reshape(batch, s * height, s * width, channels)
    return y[:, : geometry.size[0], : geometry.size[1]]


def _convolution(x: Array, w: Array, padding: Padding, dilation: int = 1) -> Array:
    """A convolution of stride 1, cropped first where the padding is negative."""
    start = [max(-low, 0) for low, _ in padding]
    stop = [
        side + min(high, 0)
        for side, (_, high) in zip(x.shape[1:3], padding, strict=True)
    ]
    x = x[:, start[0] : stop[0], start[1] : stop[1]]
    height, width = ((max(low, 0), max(high, 0)) for low, high in padding)
    return onednn.convolution(x, w, padding=(height, width), dilation=dilation)


class Form(NamedTuple):
    """One way to state a map.

    Attributes:
        function: of the operands and the geometry.
        fits: whether a geometry can be stated so.
    """

    function: Callable[..., Array]
    fits: Callable[[Geometry], bool]


def _is_product(geometry: Geometry) -> bool:
    return geometry.whole or geometry.pointwise


def _is_dense(geometry: Geometry) -> bool:
    return geometry.stride == 1 and not geometry.whole


def _has_phases(geometry: Geometry) -> bool:
    return 1 < geometry.stride <= min(geometry.kernel) and not geometry.whole


FORMS: dict[str, tuple[Form, ...]] = {
    "forward": (
        Form(forward_convolution, lambda geometry: True),
        Form(forward_product, _is_product),
    ),
    "backward": (
        Form(backward_convolution, _is_dense),
        Form(backward_product, _is_product),
        Form(backward_phases, _has_phases),
        Form(backward_joined, _has_phases),
    ),
    "kernel": (
        Form(kernel_convolution, lambda geometry: True),
        Form(kernel_product, _is_product),
        Form(kernel_windows, _is_dense),
    ),
}


def lowering(name: str, form: Callable[..., Array]) -> Callable[..., Any]:
    """A CPU's lowering rule that takes oneDNN's form of a map where it is faster.

    Args:
        name: ``forward``, ``backward`` or ``kernel``.
        form: XLA's, for everything else.

    Returns:
        The rule.
    """

    def rule(ctx: Any, a: Any, b: Any, *, geometry: Geometry) -> Any:
        first, second = ctx.avals_in
        dtype, chosen = first.dtype.name, None
        if onednn_support.takes(ctx, dtype):
            inputs, outputs = second.shape[2:]
            if name == "kernel":  # images and gradients: no kernel to look at
                inputs, outputs = first.shape[3], second.shape[3]
            chosen = choose(
                name,
                dtype,
                geometry=geometry,
                batch=first.shape[0],
                inputs=inputs,
                outputs=outputs,
            )
        lower = mlir.lower_fun(chosen or form, multiple_results=False)
        return lower(ctx, a, b, geometry=geometry)

    return rule


def choose(
    name: str, dtype: str, *, geometry: Geometry, batch: int, inputs: int, outputs: int
) -> Callable[..., Array] | None:
    """The fastest form of a map, or None for XLA's.

    Args:
        name: ``forward``, ``backward`` or ``kernel``.
        dtype: ``float32`` or ``bfloat16``.
        geometry: of the convolution.
        batch: B.
        inputs: I, channels of its images.
        outputs: O, channels of its results.

    Returns:
        A function as those of ``forms``.
    """
    pixels = geometry.output[0] * geometry.output[1]
    taps = geometry.kernel[0] * geometry.kernel[1]
    multiplications = batch * pixels * taps * inputs * outputs
    low = dtype == "bfloat16"
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
    """Whether oneDNN's product of two matrices is faster than XLA's.

    XLA gives a float32 product to YNNPACK, which is as fast, but for a transposed left
    operand and for long sums.

    Args:
        dtype: ``float32`` or ``bfloat16``.
        multiplications: of the product.
        inner: terms of each sum.
        transposed: whether the left operand is.
    """
    if multiplications < SMALLEST:
        return False
    if dtype == "bfloat16" or inner >= _LONG:
        return True
    return transposed and multiplications >= _LARGE_PRODUCT


def _forward(
    low: bool, geometry: Geometry, pixels: int, inputs: int, outputs: int
) -> Callable[..., Array] | None:
    if _is_product(geometry):
        return forward_product
    taps = geometry.kernel[0] * geometry.kernel[1]
    deep = pixels < _SMALL_MAP and taps * inputs >= 2048
    return forward_convolution if low or not (outputs < _NARROW or deep) else None


def _backward(
    low: bool, geometry: Geometry, pixels: int, inputs: int, outputs: int
) -> Callable[..., Array] | None:
    if _is_product(geometry):
        return backward_product
    if _is_dense(geometry):
        return backward_convolution if low or inputs >= _NARROW else None
    if not _has_phases(geometry):
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
    if _is_product(geometry):
        return kernel_product
    if min(inputs, outputs) < _NARROW:
        return None
    if low and batch < _AMX_CHANNELS:
        return None
    if low and _is_dense(geometry) and pixels > _LARGE_MAP:
        return kernel_windows
    return kernel_convolution if low or pixels <= _SMALL_MAP else None
