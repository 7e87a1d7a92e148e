"""A person's view of examples: a grid of images, or a plane with points."""

import numpy as np

from wgan_jax.data import Source
from wgan_jax.writers import image_grid, scatter_image, to_uint8

GRID_LIMIT = 256  # images in one picture; more are too small to see


def draw(examples: np.ndarray, source: Source) -> np.ndarray:
    """A picture of generated examples.

    Args:
        examples: ``[n, H, W, C]`` images in [-1, 1], or ``[n, 2]`` points.
        source: points are drawn over as many of its real ones.

    Returns:
        uint8 picture ``[height, width, 1 or 3]``; of at most the first 256
        images.
    """
    if examples.ndim == 4:
        return image_grid(to_uint8(examples[:GRID_LIMIT]))
    return scatter_image(examples, source.images[: len(examples)])
