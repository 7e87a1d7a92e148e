"""The code of the three maps of ``conv``, chosen by shape and platform."""

from typing import NamedTuple, TypeAlias

from jax import lax

from wgan_jax.types import Array

Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]

LAYOUT = ("NHWC", "HWIO", "NHWC")


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


forward_cpu, backward_cpu, kernel_cpu = forward, backward, kernel
