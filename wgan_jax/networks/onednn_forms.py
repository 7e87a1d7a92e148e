"""Implementations of the three convolution maps with oneDNN calls.

Only oneDNN's forward convolution and matrix product are available, not its
gradients. The forms express each map with these two. ``onednn_rule`` chooses
among them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from wgan_jax.networks import onednn
from wgan_jax.networks.forms import phases_of
from wgan_jax.networks.geometry import Geometry, Padding
from wgan_jax.types import Array


def forward_convolution(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes ``forward`` directly."""
    return onednn.convolution(x, w, stride=geometry.stride, padding=geometry.padding)


def forward_product(x: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes ``forward`` of a whole or pointwise geometry as one matrix product."""
    rows = x.reshape(_rows(x, geometry), -1)
    y = onednn.product(rows, w.reshape(-1, w.shape[3]))
    return y.reshape(x.shape[0], *geometry.output, w.shape[3])


def backward_convolution(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes stride-1 ``backward``: kernel reversed, its channels swapped."""
    w = w[::-1, ::-1].swapaxes(2, 3)
    return _convolution(g, w, geometry.backward_padding)


def backward_product(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes ``backward`` of a whole or pointwise geometry as one matrix product."""
    rows = g.reshape(-1, g.shape[3])
    y = onednn.product(rows, w.reshape(-1, w.shape[3]), transpose_b=True)
    return y.reshape(g.shape[0], *geometry.size, w.shape[2])


def backward_phases(g: Array, w: Array, *, geometry: Geometry) -> Array:
    """Computes ``backward`` as s^2 convolutions, one per output phase."""
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
    """Computes ``backward`` as one convolution with all s^2 phases as channels.

    The taps of each phase are zero-padded to a window that holds those of every
    phase. This takes more multiplications than ``backward_phases``, but reads
    the input once.
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
    """Computes ``kernel`` as a convolution whose channels are the batch."""
    y = _convolution(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        geometry.kernel_padding,
        geometry.stride,
    )
    return y.transpose(1, 2, 0, 3)


def kernel_product(x: Array, g: Array, *, geometry: Geometry) -> Array:
    """Computes ``kernel`` of a whole or pointwise geometry as one matrix product."""
    rows = x.reshape(_rows(x, geometry), -1)
    y = onednn.product(rows, g.reshape(-1, g.shape[3]), transpose_a=True)
    return y.reshape(*geometry.kernel, x.shape[3], g.shape[3])


def kernel_windows(x: Array, g: Array, *, geometry: Geometry) -> Array:
    r"""Computes stride-1 ``kernel`` as one product of windows and shifted gradients.

    With the column taps applied to the images and the row taps to the
    gradients,

    .. math:: w_{t,u,c,o} = \sum_{b,r,j} X_{b,r,j,(u,c)}\, G_{b,r,j,(t,o)},
        \quad X_{b,r,j,(u,c)} = x_{b,r,j+u-p,c}, \quad G_{b,r,j,(t,o)} = g_{b,r-t+p,j,o}

    Both X and G are convolutions with kernels of zeros and ones, which are
    exact in bfloat16 and faster than copying.
    """
    (k, m), (top, left) = geometry.kernel, (low for low, _ in geometry.padding)
    height, width = geometry.output
    (rows, columns), inputs, outputs = geometry.size, x.shape[3], g.shape[3]
    windows = _convolution(
        x,
        jnp.eye(m * inputs, dtype=x.dtype).reshape(1, m, inputs, m * inputs),
        ((0, 0), (left, width - 1 + m - columns - left)),
    )
    # Tap t of row r is gradient r - t + top, so the taps are in reverse order.
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
    """Returns the rows of the left factor: examples (whole geometry) or pixels."""
    return x.shape[0] if geometry.whole else x.shape[0] * x.shape[1] * x.shape[2]


def _shuffled(y: Array, geometry: Geometry) -> Array:
    """Interleaves separate phases ``[B, h, w, s, s, C]`` into output pixels."""
    batch, height, width, s, _, channels = y.shape
    y = y.swapaxes(2, 3).reshape(batch, s * height, s * width, channels)
    return y[:, : geometry.size[0], : geometry.size[1]]


def _convolution(x: Array, w: Array, padding: Padding, dilation: int = 1) -> Array:
    """Computes a stride-1 convolution; negative padding crops the input first."""
    start = [max(-low, 0) for low, _ in padding]
    stop = [
        side + min(high, 0)
        for side, (_, high) in zip(x.shape[1:3], padding, strict=True)
    ]
    x = x[:, start[0] : stop[0], start[1] : stop[1]]
    height, width = ((max(low, 0), max(high, 0)) for low, high in padding)
    return onednn.convolution(x, w, padding=(height, width), dilation=dilation)


class Form(NamedTuple):
    """One implementation of a map.

    Attributes:
        function: function of the operands and the geometry.
        fits: whether it supports a geometry.
    """

    function: Callable[..., Array]
    fits: Callable[[Geometry], bool]


def is_product(geometry: Geometry) -> bool:
    """Returns whether the maps are matrix products without rearranging memory."""
    return geometry.whole or geometry.pointwise


def is_dense(geometry: Geometry) -> bool:
    """Returns whether the input gradient is a convolution without dilation."""
    return geometry.stride == 1 and not geometry.whole


def has_phases(geometry: Geometry) -> bool:
    """Returns whether the input gradient splits into phases with at least one tap."""
    return 1 < geometry.stride <= min(geometry.kernel) and not geometry.whole


FORMS: dict[str, tuple[Form, ...]] = {
    "forward": (
        Form(forward_convolution, lambda geometry: True),
        Form(forward_product, is_product),
    ),
    "backward": (
        Form(backward_convolution, is_dense),
        Form(backward_product, is_product),
        Form(backward_phases, has_phases),
        Form(backward_joined, has_phases),
    ),
    "kernel": (
        Form(kernel_convolution, lambda geometry: True),
        Form(kernel_product, is_product),
        Form(kernel_windows, is_dense),
    ),
}
