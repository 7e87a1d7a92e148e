"""The code of the three maps of ``conv``, chosen by shape and platform."""

from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jax import lax

from wgan_jax.types import Array

Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]

LAYOUT = ("NHWC", "HWIO", "NHWC")

# Output channels from which the phase form of the input gradient is the faster.
_WIDE = 16


class Geometry(NamedTuple):
    """What the three maps of one convolution share.

    Attributes:
        stride: of the window, along both sides.
        padding: ``((low, high), (low, high))`` of height and width.
        size: ``(H, W)`` of the images.
        kernel: ``(K, K')`` of the kernel.
    """

    stride: int
    padding: Padding
    size: tuple[int, int]
    kernel: tuple[int, int]

    @property
    def output(self) -> tuple[int, int]:
        """``(h, w)`` of what the convolution returns."""
        height, width = (
            (side + low + high - k) // self.stride + 1
            for side, (low, high), k in zip(
                self.size, self.padding, self.kernel, strict=True
            )
        )
        return height, width

    @property
    def whole(self) -> bool:
        """Whether the one window is the whole image: a matrix product."""
        return self.kernel == self.size and self.padding == ((0, 0), (0, 0))


def forward(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """``[B, H, W, I], [K, K, I, O] -> [B, h, w, O]`` with a strided window."""
    strides = (geometry.stride, geometry.stride)
    return lax.conv_general_dilated(
        x, w, strides, geometry.padding, dimension_numbers=LAYOUT
    )


def backward(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """``[B, h, w, O], [K, K, I, O] -> [B, H, W, I]`` with zeros between pixels."""
    s = geometry.stride
    pads = [
        (k - 1 - low, side - 1 - s * (out - 1) + low)
        for k, (low, _), side, out in zip(
            geometry.kernel,
            geometry.padding,
            geometry.size,
            geometry.output,
            strict=True,
        )
    ]
    w = w[::-1, ::-1].swapaxes(2, 3)
    return lax.conv_general_dilated(
        g, w, (1, 1), pads, lhs_dilation=(s, s), dimension_numbers=LAYOUT
    )


def kernel(x: Array, g: Array, *, geometry: Geometry) -> Array:
    """``[B, H, W, I], [B, h, w, O] -> [K, K, I, O]`` with g as a dilated kernel.

    The operands are transposed in the open: a convolution told to read them in
    another order is as fast alone, but leaves XLA's fast path inside a loop.
    """
    s = geometry.stride
    pads = [
        (low, s * (out - 1) + k - side - low)
        for k, (low, _), side, out in zip(
            geometry.kernel,
            geometry.padding,
            geometry.size,
            geometry.output,
            strict=True,
        )
    ]
    y = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        (1, 1),
        pads,
        rhs_dilation=(s, s),
        dimension_numbers=LAYOUT,
    )
    return y.transpose(1, 2, 0, 3)


def forward_cpu(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """``forward`` on a CPU: a matrix product where the window is the image."""
    if not geometry.whole:
        return forward(x, w, geometry=geometry)
    y = lax.dot(x.reshape(x.shape[0], -1), w.reshape(-1, w.shape[3]))
    return y.reshape(x.shape[0], 1, 1, w.shape[3])


def backward_cpu(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """``backward`` on a CPU, without the multiplications by zeros."""
    if geometry.whole:
        rows = (((1,), (1,)), ((), ()))
        g, flat = g.reshape(g.shape[0], -1), w.reshape(-1, w.shape[3])
        return lax.dot_general(g, flat, rows).reshape(g.shape[0], *w.shape[:3])
    if 1 < geometry.stride <= min(geometry.kernel) and w.shape[2] >= _WIDE:
        return backward_phases(g, w, geometry=geometry)
    return backward(g, w, geometry=geometry)


def kernel_cpu(x: Array, g: Array, *, geometry: Geometry) -> Array:
    """``kernel`` on a CPU: a matrix product where the window is the image."""
    if not geometry.whole:
        return kernel(x, g, geometry=geometry)
    columns = (((0,), (0,)), ((), ()))
    flat, g = x.reshape(x.shape[0], -1), g.reshape(g.shape[0], -1)
    return lax.dot_general(flat, g, columns).reshape(*x.shape[1:], g.shape[1])


def backward_phases(g: Array, w: Array, *, geometry: Geometry) -> Array:
    r"""``backward`` as s^2 dense convolutions, one for each phase of the output.

    Only taps t with ``t = u + p (mod s)`` reach output pixel u. With u = sj + a,
    r = (a + p) mod s and d = (a + p - r) / s,

    .. math:: y_{sj+a} = \sum_m g_{j+d-m}\, w_{r+sm}

    which multiplies by no zero, where the dilated form's share of zeros is
    1 - 1/s^2.
    """
    s = geometry.stride
    rows, columns = (_phases(geometry, axis) for axis in (0, 1))
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
    """Taps ``first, first + s, ...`` of a kernel, and the padding that they need."""

    first: int
    padding: tuple[int, int]


def _phases(geometry: Geometry, axis: int) -> list[_Phase]:
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
