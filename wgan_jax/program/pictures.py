"""Pictures of examples: a grid of images, or a scatter plot of points.

Examples of other shapes, such as rows of a table, are not drawn.
"""

from collections.abc import Sequence

import numpy as np

from wgan_jax.data import Source
from wgan_jax.io.images import are_images, image_grid, scatter_image, to_uint8

GRID_LIMIT = 256  # images in one picture; more are too small to see


def are_drawable(shape: Sequence[int]) -> bool:
    """Returns whether examples can be drawn: images, and points in the plane.

    Args:
        shape: shape of one example.
    """
    return are_images(shape) or tuple(shape) == (2,)


def draw(examples: np.ndarray, source: Source) -> np.ndarray:
    """Returns a picture of generated examples.

    Args:
        examples: ``[n, H, W, C]`` images in [-1, 1], or ``[n, 2]`` points.
        source: dataset whose first ``n`` points are drawn below generated
            points.

    Returns:
        uint8 picture ``[height, width, 1, 3 or 4]``, with at most the first 256
        images.
    """
    shown = to_uint8(examples[:GRID_LIMIT]) if examples.ndim == 4 else examples
    return grid(shown, source)


def grid(
    examples: np.ndarray, source: Source, *, columns: int | None = None
) -> np.ndarray:
    """Returns a picture of examples that are ready to be drawn.

    Args:
        examples: uint8 images ``[n, H, W, C]``, or ``[n, 2]`` points.
        source: as for ``draw``.
        columns: images per row; all of them are then drawn.
    """
    if examples.ndim != 4:
        return scatter_image(examples, source.images[: len(examples)])
    shown = examples if columns else examples[:GRID_LIMIT]
    return image_grid(shown, columns=columns, padding=4)


def tile(pictures: list[np.ndarray]) -> np.ndarray:
    """Arranges pictures of one size in a grid that is approximately square.

    Args:
        pictures: uint8 ``[height, width, 1, 3 or 4]`` each, at least one.

    Returns:
        uint8 picture. A single picture is returned unchanged.
    """
    if len(pictures) == 1:
        return pictures[0]
    columns = int(np.ceil(np.sqrt(len(pictures))))
    rows = -(-len(pictures) // columns)
    blank = np.full_like(pictures[0], 255)
    filled = pictures + [blank] * (rows * columns - len(pictures))
    return np.concatenate(
        [
            np.concatenate(filled[row * columns : (row + 1) * columns], axis=1)
            for row in range(rows)
        ]
    )
