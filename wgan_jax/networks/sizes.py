"""Sides of images that a network takes, for error messages."""

import itertools
from collections.abc import Callable, Sequence


def nearest_sides(size: Sequence[int], fits: Callable[[int], bool]) -> str:
    """Returns the end of a message about an image shape: the sides nearest to it.

    Args:
        size: shape of an image that is refused.
        fits: whether a side is possible, for at least one side above any.

    Returns:
        Such as ``"; the nearest sides are 16 and 32."``.
    """
    side = size[0]
    if fits(side):  # refused for another reason, such as unequal sides
        return "."
    below = next((s for s in range(side - 1, 0, -1) if fits(s)), None)
    above = next(s for s in itertools.count(side + 1) if fits(s))
    if below is None:
        return f"; the smallest side is {above}."
    return f"; the nearest sides are {below} and {above}."
