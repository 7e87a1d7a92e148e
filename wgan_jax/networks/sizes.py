"""Sizes of images that a network takes: its smallest map, and error messages."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

# Shorter side of the smallest map. Squares of 4 * 2^k and 7 * 2^k pixels have the
# maps of the papers: one more halving of 4 would give 2.
_LEAST, _MOST = 3, 7
_HALVINGS = 16  # more than in any image


class Base(NamedTuple):
    """Smallest map of a network that doubles or halves the size.

    Attributes:
        height: its height.
        width: its width.
        doublings: number of doublings from it to the image, at least 1.
    """

    height: int
    width: int
    doublings: int


def base_of(size: Sequence[int], owner: str) -> Base:
    """Returns the smallest map of a network for images of a size.

    Both sides are halved equally often: as often as they are even and the shorter
    one stays at least 3.

    Args:
        size: ``(H, W, C)`` of the image.
        owner: name of the network, for the error message.

    Returns:
        The map. Its shorter side is in 3 to 7.

    Raises:
        ValueError: if there is none.
    """
    if len(size) != 3 or not _fits(size[0], size[1]):
        raise ValueError(
            f"{owner}: image shape is {tuple(size)}; it must be (H, W, C), where "
            "halving both sides equally often, at least once, brings the shorter one "
            f"to {_LEAST} to {_MOST}{nearest_sizes(size, _fits)}"
        )
    return _halved(size[0], size[1])


def _halved(height: int, width: int) -> Base:
    doublings = 0
    while height % 2 == width % 2 == 0 and min(height, width) >= 2 * _LEAST:
        height, width, doublings = height // 2, width // 2, doublings + 1
    return Base(height, width, doublings)


def _fits(height: int, width: int) -> bool:
    base = _halved(height, width)
    return _LEAST <= min(base[:2]) <= _MOST and base.doublings > 0


def nearest_sizes(size: Sequence[int], fits: Callable[[int, int], bool]) -> str:
    """Returns the end of a message about an image shape: the sizes nearest to it.

    Args:
        size: shape of an example that is refused.
        fits: whether a height and a width are possible. Above any size, there are
            multiples of a power of two that are.

    Returns:
        Such as ``"; the nearest sides are 16 and 20."``, or for other images than
        squares ``"; the nearest sizes are 24x40 and 24x48."``.
    """
    if len(size) == 2:
        return (
            "; gray images have a channel, and as floats need config.dataset.low and "
            "high; mlp takes examples of any shape."
        )
    if len(size) != 3:
        return "; mlp takes examples of any shape."
    height, width = size[0], size[1]
    steps = [2**k for k in range(_HALVINGS)]
    smaller = [(height // s * s, width // s * s) for s in steps]
    larger = [(-(-height // s) * s, -(-width // s) * s) for s in steps]
    # Where this makes the shorter side less than three steps, three are the least.
    pairs = list(zip(larger, steps, strict=True))
    larger += [(max(h, _LEAST * s), max(w, _LEAST * s)) for (h, w), s in pairs]
    below = max((x for x in smaller if fits(*x)), key=math.prod, default=None)
    above = min((x for x in larger if fits(*x)), key=math.prod)
    noun, texts = "side", [str(x[0]) for x in (below, above) if x]
    if height != width:
        noun, texts = "size", [f"{x[0]}x{x[1]}" for x in (below, above) if x]
    if below is None:
        return f"; the smallest {noun} is {texts[0]}."
    return f"; the nearest {noun}s are {texts[0]} and {texts[1]}."
