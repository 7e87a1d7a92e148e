"""Implementations of the three convolution maps, by shape and platform.

``forward``, ``backward`` and ``kernel`` are the default on every platform. The
TPU compiler recognizes the zeros of a dilated operand itself. The ``_cpu``
variants choose by shape among forms that are faster with XLA's CPU backend. The
``_cuda`` variants avoid dilated operands in cuDNN calls.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from wgan_jax.networks.geometry import LAYOUT, Geometry
from wgan_jax.types import Array

# Thresholds of output channels between the forms on a CPU. Input gradient with 64
# images, in milliseconds, of the forms dilated / phases / columns:
#   3 x 3, stride 1, 32x32x64 -> 32x32x3    18.0   25.1    3.0
#   4 x 4, stride 2, 16x16x64 -> 32x32x3     1.8   10.0    1.3
#   5 x 5, stride 2,  8x8x128 -> 16x16x8     2.8    7.6    3.9
#   4 x 4, stride 2, 16x16x64 -> 32x32x16   11.8   10.4   11.1
#   4 x 4, stride 2, 16x16x64 -> 32x32x64   66.0   30.8   55.3
#   4 x 4, stride 2,  8x8x128 -> 16x16x128  42.1   23.5   36.5
#   5 x 5, stride 2,  4x4x256 -> 8x8x128   204.9    9.6   14.2
_NARROW, _WIDE = 8, 16


def forward(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Maps ``[B, H, W, I], [K, K, I, O] -> [B, h, w, O]`` with a strided window."""
    strides = (geometry.stride, geometry.stride)
    return lax.conv_general_dilated(
        x, w, strides, geometry.padding, dimension_numbers=LAYOUT
    )


def backward(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """Maps ``[B, h, w, O], [K, K, I, O] -> [B, H, W, I]`` by dilating ``g``."""
    s = geometry.stride
    w = w[::-1, ::-1].swapaxes(2, 3)
    return lax.conv_general_dilated(
        g,
        w,
        (1, 1),
        geometry.backward_padding,
        lhs_dilation=(s, s),
        dimension_numbers=LAYOUT,
    )


def backward_cuda(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes ``backward`` in a form that XLA passes to cuDNN without dilation.

    XLA matches a kernel reversal next to the convolution. If the kernel is
    itself computed (summed over shifts, normalized), XLA fuses the reversal
    into that computation instead. cuDNN then receives a zero-filled map, which
    takes four times the operations.
    """
    k, s = geometry.kernel, geometry.stride
    if 1 < s <= min(k) and min(geometry.output) < max(k) and not geometry.whole:
        # Here XLA would swap map and kernel and dilate the kernel.
        return backward_phases(g, w, geometry=geometry)
    return backward(g, lax.optimization_barrier(w), geometry=geometry)


def kernel(x: Array, g: Array, *, geometry: Geometry) -> Array:
    """Maps ``[B, H, W, I], [B, h, w, O] -> [K, K, I, O]`` with ``g`` dilated.

    The operands are transposed explicitly. A convolution with permuted
    dimension numbers is as fast on its own, but misses XLA's fast path inside a
    loop.
    """
    s = geometry.stride
    y = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        (1, 1),
        geometry.kernel_padding,
        rhs_dilation=(s, s),
        dimension_numbers=LAYOUT,
    )
    return y.transpose(1, 2, 0, 3)


def forward_cpu(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes ``forward`` on a CPU, as a matrix product where possible."""
    if geometry.whole:
        y = lax.dot(x.reshape(x.shape[0], -1), w.reshape(-1, w.shape[3]))
        return y.reshape(x.shape[0], 1, 1, w.shape[3])
    if geometry.stride == 1 and w.shape[3] < _NARROW:
        w = w[::-1, ::-1].swapaxes(2, 3)
        return backward_columns(x, w, geometry=_transposed(geometry))
    return forward(x, w, geometry=geometry)


def backward_cpu(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes ``backward`` on a CPU, in the form that suits the output channels."""
    if geometry.whole:
        rows = (((1,), (1,)), ((), ()))
        g, flat = g.reshape(g.shape[0], -1), w.reshape(-1, w.shape[3])
        return lax.dot_general(g, flat, rows).reshape(g.shape[0], *w.shape[:3])
    if w.shape[2] < _NARROW:
        return backward_columns(g, w, geometry=geometry)
    if 1 < geometry.stride <= min(geometry.kernel) and w.shape[2] >= _WIDE:
        return backward_phases(g, w, geometry=geometry)
    return backward(g, w, geometry=geometry)


def kernel_cpu(x: Array, g: Array, *, geometry: Geometry) -> Array:
    """Computes ``kernel`` on a CPU, as a matrix product where possible."""
    contract = (((0,), (0,)), ((), ()))
    if geometry.whole:
        flat, g = x.reshape(x.shape[0], -1), g.reshape(g.shape[0], -1)
        return lax.dot_general(flat, g, contract).reshape(*x.shape[1:], g.shape[1])
    if geometry.pointwise:
        flat, g = x.reshape(-1, x.shape[3]), g.reshape(-1, g.shape[3])
        return lax.dot_general(flat, g, contract)[None, None]
    if geometry.stride == 1 and g.shape[3] < _NARROW <= x.shape[3]:
        # A product is faster with the few channels in its rows (46 -> 7 ms).
        w = kernel(g, x, geometry=_transposed(geometry))
        return w[::-1, ::-1].swapaxes(2, 3)
    return kernel(x, g, geometry=geometry)


def backward_columns(g: Array, w: Array, *, geometry: Geometry) -> Array:
    r"""Computes ``backward`` as one matrix product whose K^2 columns are scattered.

    With t = sm + r for the taps and u + p = sv + r for the output pixels,

    .. math:: c_{j,m,r} = g_j w_{sm+r}, \qquad y_{sv+r-p} = \sum_m c_{v-m,m,r}

    A convolution with few output channels reads K^2 inputs per output for
    little arithmetic. In this form, each input is read once.
    """
    s, (batch, height, width, outputs) = geometry.stride, g.shape
    m, n = (-(-k // s) for k in geometry.kernel)
    fill = [(0, c * s - k) for c, k in zip((m, n), geometry.kernel, strict=True)]
    w = jnp.pad(w, (*fill, (0, 0), (0, 0)))
    w = w.reshape(m, s, n, s, -1, outputs).transpose(0, 2, 1, 3, 4, 5)
    rows = (((1,), (1,)), ((), ()))
    columns = lax.dot_general(g.reshape(-1, outputs), w.reshape(-1, outputs), rows)
    columns = columns.reshape(batch, height, width, m, n, -1)
    zero = jnp.zeros((), g.dtype)
    y = zero
    for i in range(m):
        for j in range(n):
            edges = ((0, 0, 0), (i, m - 1 - i, 0), (j, n - 1 - j, 0), (0, 0, 0))
            y = y + lax.pad(columns[:, :, :, i, j], zero, edges)
    height, width = height + m - 1, width + n - 1
    y = y.reshape(batch, height, width, s, s, -1).swapaxes(2, 3)
    y = y.reshape(batch, s * height, s * width, -1)
    crop = [
        (-low, side + low - length, 0)
        for (low, _), side, length in zip(
            geometry.padding, geometry.size, y.shape[1:3], strict=True
        )
    ]
    return lax.pad(y, zero, ((0, 0, 0), *crop, (0, 0, 0)))


def _transposed(geometry: Geometry) -> Geometry:
    """Returns the geometry with images and results of a stride-1 convolution swapped.

    With the kernel reversed, ``forward`` of one is ``backward`` of the other.
    """
    height, width = (
        (k - 1 - low, k - 1 - high)
        for k, (low, high) in zip(geometry.kernel, geometry.padding, strict=True)
    )
    return Geometry(1, (height, width), geometry.output, geometry.kernel)


def backward_phases(g: Array, w: Array, *, geometry: Geometry) -> Array:
    r"""Computes ``backward`` as s^2 dense convolutions, one per output phase.

    Only taps t with ``t = u + p (mod s)`` contribute to output pixel u. With
    u = sj + a, r = (a + p) mod s and d = (a + p - r) / s,

    .. math:: y_{sj+a} = \sum_m g_{j+d-m}\, w_{r+sm}

    This form multiplies no zeros, whereas a fraction 1 - 1/s^2 of the operand
    of the dilated form is zero.
    """
    s = geometry.stride
    rows, columns = (phases_of(geometry, axis) for axis in (0, 1))
    phases = []
    for row in rows:
        for column in columns:
            taps = w[row.first :: s, column.first :: s][::-1, ::-1].swapaxes(2, 3)
            pads = (row.padding, column.padding)
            phase = lax.conv_general_dilated(
                g, taps, (1, 1), pads, dimension_numbers=LAYOUT
            )
            phases.append(phase)
    height, width = phases[0].shape[1:3]
    y = jnp.stack(phases, 3).reshape(-1, height, width, s, s, w.shape[2])
    y = y.swapaxes(2, 3).reshape(-1, s * height, s * width, w.shape[2])
    return y[:, : geometry.size[0], : geometry.size[1]]


class _Phase(NamedTuple):
    """Taps ``first, first + s, ...`` of a kernel, and the padding they need."""

    first: int
    padding: tuple[int, int]


def phases_of(geometry: Geometry, axis: int) -> list[_Phase]:
    """Returns the phases of ``backward`` along one axis, in pixel order."""
    s, k = geometry.stride, geometry.kernel[axis]
    low, side = geometry.padding[axis][0], geometry.size[axis]
    pixels = -(-side // s)
    phases = []
    for a in range(s):
        shift, first = divmod(a + low, s)
        taps = len(range(first, k, s))
        high = pixels - 1 + shift - (geometry.output[axis] - 1)
        phases.append(_Phase(first, (taps - 1 - shift, high)))
    return phases
