"""Stride, padding and sizes of a convolution, shared by its three maps."""

from typing import NamedTuple, TypeAlias

Padding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]

LAYOUT = ("NHWC", "HWIO", "NHWC")


class Geometry(NamedTuple):
    """Geometry shared by the three maps of one convolution.

    Attributes:
        stride: stride of both axes.
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
        """``(h, w)``, the output size of the convolution."""
        height, width = (
            (side + low + high - k) // self.stride + 1
            for side, (low, high), k in zip(
                self.size, self.padding, self.kernel, strict=True
            )
        )
        return height, width

    @property
    def backward_padding(self) -> Padding:
        """Padding of the dilated output with which ``backward`` is a convolution."""
        height, width = (
            (k - 1 - low, side - 1 - self.stride * (out - 1) + low)
            for k, (low, _), side, out in zip(
                self.kernel, self.padding, self.size, self.output, strict=True
            )
        )
        return height, width

    @property
    def kernel_padding(self) -> Padding:
        """Padding of the images with which ``kernel`` is a dilated convolution."""
        height, width = (
            (low, self.stride * (out - 1) + k - side - low)
            for k, (low, _), side, out in zip(
                self.kernel, self.padding, self.size, self.output, strict=True
            )
        )
        return height, width

    @property
    def whole(self) -> bool:
        """Whether the kernel covers the image, so the maps are matrix products."""
        return self.kernel == self.size and self.padding == ((0, 0), (0, 0))

    @property
    def pointwise(self) -> bool:
        """Whether the convolution is 1x1, so the maps are matrix products."""
        return (self.kernel, self.stride, self.padding) == (
            (1, 1),
            1,
            ((0, 0), (0, 0)),
        )
