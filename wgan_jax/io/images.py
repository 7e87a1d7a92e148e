"""Conversion of images and points to pictures, and PNG files."""

import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from wgan_jax.io.files import atomic_write
from wgan_jax.types import Array

CHANNELS = (1, 3, 4)  # of pictures: gray, RGB and RGBA
_TOLERANCE = 1e-3  # of the range of images, for rounding
_SHOWN_SIDE = 64  # pixels; approximate side to which small images are magnified
_REAL_COLOUR = (0, 114, 178)  # blue and orange, distinguishable for the color-blind
_FAKE_COLOUR = (213, 94, 0)
_MARGIN = 0.25  # of the real points' extent, on each side
_OPACITY = 0.6  # of one dot, so that dense regions are darker


def are_images(shape: Sequence[int]) -> bool:
    """Returns whether examples are gray, RGB or RGBA images.

    Args:
        shape: shape of one example.
    """
    return len(shape) == 3 and shape[2] in CHANNELS


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Converts images to gray levels, the inverse of ``x / 127.5 - 1``.

    It computes ``round((x + 1) * 127.5)``: -1, -0.5, 0, 0.5, 1 become 0, 64,
    128, 191, 255. All levels except the two extremes cover ranges of equal
    size. The conversion to [-1, 1] and back preserves all 256 levels.

    Args:
        images: floating-point array of any shape; clipped to [-1, 1].

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: if a value is NaN.
    """
    values = np.asarray(images, np.float32)
    if np.isnan(values).any():
        raise ValueError("the images contain NaN; all values must be numbers.")
    return np.rint((np.clip(values, -1, 1) + 1) * 127.5).astype(np.uint8)


def check_range(images: Array | np.ndarray) -> None:
    """Raises ValueError if floating-point images cannot be in [-1, 1].

    Images from 0 to 1 could be of that range, or of this one. Nearly all sets of
    images have pixels below the mean of black and white, so they are refused.

    Args:
        images: floating-point array of any shape. If all values are equal, they
            are taken to be of this range.

    Raises:
        ValueError: if a value is outside, or none is below 0.
    """
    if not images.size:
        return
    least, most = float(images.min()), float(images.max())
    if max(-least, most) > 1 + _TOLERANCE:
        raise ValueError(
            f"the images are from {least:g} to {most:g}; they must be uint8, or in [-1,"
            " 1]."
        )
    if 0 <= least < most:
        raise ValueError(
            f"the images are from {least:g} to {most:g}, so they seem to be in [0, 1] "
            "instead of [-1, 1]. Use 2 * images - 1, or uint8 if they are merely "
            "bright."
        )


def on_white(images: Array | np.ndarray) -> Array | np.ndarray:
    """Puts RGBA images on white.

    Args:
        images: uint8 or floating-point ``[..., 4]`` in [0, 255].

    Returns:
        The same type ``[..., 3]``; uint8 levels are rounded.
    """
    wide = images if images.dtype != np.uint8 else images.astype(np.int32)
    opacity = wide[..., 3:]
    mixed = wide[..., :3] * opacity + 255 * (255 - opacity)
    if images.dtype != np.uint8:
        return mixed / 255
    return ((mixed + 127) // 255).astype(np.uint8)


def image_grid(
    images: np.ndarray,
    *,
    columns: int | None = None,
    scale: int | None = None,
    padding: int = 1,
) -> np.ndarray:
    """Arranges images in a grid on white, row by row.

    Args:
        images: uint8 ``[n, H, W, C]``, n at least 1, C 1, 3 or 4.
        columns: images per row; by default, the grid is as square as possible.
        scale: integer magnification; by default, small images become about 64
            pixels high.
        padding: white pixels between images and around the grid.

    Returns:
        uint8 ``[rows * (H * scale + padding) + padding,
        columns * (W * scale + padding) + padding, C]``.

    Raises:
        ValueError: if the shape or dtype is invalid.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in CHANNELS:
        raise ValueError(
            f"image_grid: images are {images.dtype}{list(images.shape)}; they must be "
            "uint8[n, H, W, 1, 3 or 4]. Use to_uint8 to convert them."
        )
    if not len(images):
        raise ValueError("image_grid: there are no images; at least 1 is needed.")
    n, height, width, channels = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    scale = scale or max(1, round(_SHOWN_SIDE / max(height, width)))
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    tall, wide = height * scale + padding, width * scale + padding
    rows = -(-n // columns)
    shape = (rows * tall + padding, columns * wide + padding, channels)
    grid = np.full(shape, 255, np.uint8)
    for index, image in enumerate(large):
        top = padding + index // columns * tall
        left = padding + index % columns * wide
        grid[top : top + height * scale, left : left + width * scale] = image
    return grid


def scatter_image(
    points_fake: np.ndarray, points_real: np.ndarray, *, size: int = 512
) -> np.ndarray:
    """Draws two sets of points in one plot: real in blue, fake in orange on top.

    The axes are determined by the real points, with a margin and equal units,
    so pictures of one run are comparable. Fake points outside are drawn at the
    nearest edge.

    Args:
        points_fake: ``[n, 2]``, x to the right and y upwards.
        points_real: ``[m, 2]``, m at least 1.
        size: side of the picture in pixels.

    Returns:
        uint8 ``[size, size, 3]``.

    Raises:
        ValueError: if a shape is invalid or a value is not finite.
    """
    for name, points in (("fake", points_fake), ("real", points_real)):
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(
                f"the {name} points are {list(points.shape)}; they must be [n, 2]."
            )
        if not np.isfinite(points).all():
            raise ValueError(
                f"the {name} points have values that are not finite; all must be "
                "finite."
            )
    low, high = points_real.min(axis=0), points_real.max(axis=0)
    extent = max(float((high - low).max()), 1e-6) * (1 + 2 * _MARGIN)
    origin = (low + high) / 2 - extent / 2
    picture = np.full((size, size, 3), 255.0)
    for points, colour in ((points_real, _REAL_COLOUR), (points_fake, _FAKE_COLOUR)):
        dots = _count_dots((points - origin) / extent, size)
        dotted = dots > 0  # only a few pixels; computing powers is slow
        cover = (1 - (1 - _OPACITY) ** dots[dotted])[:, None]
        picture[dotted] = picture[dotted] * (1 - cover) + np.asarray(colour) * cover
    return np.rint(picture).astype(np.uint8)


def _count_dots(places: np.ndarray, size: int) -> np.ndarray:
    """Counts the dots on each pixel ``[size, size]``; places are in [0, 1]^2."""
    pixels = np.floor(np.clip(places, 0, 1) * size).astype(int).clip(0, size - 1)
    columns, rows = pixels[:, 0], size - 1 - pixels[:, 1]
    counts = np.zeros((size, size), int)
    for down, right in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
        inside_rows = (rows + down).clip(0, size - 1)
        inside_columns = (columns + right).clip(0, size - 1)
        np.add.at(counts, (inside_rows, inside_columns), 1)
    return counts


def save_png(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes a PNG file atomically; as ``save_picture``, whatever the suffix is."""
    _save(path, image, "PNG")


def save_picture(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes a PNG or lossless WebP file atomically.

    Args:
        path: path of the file, ending in ``.png`` or ``.webp``; missing folders
            are created.
        image: uint8 ``[height, width, 1, 3 or 4]``.

    Raises:
        ValueError: if the shape or dtype is invalid.
    """
    form = os.fspath(path).rpartition(".")[2].upper()
    _save(path, image, form, lossless=True, exact=True)


def as_pillow(image: np.ndarray) -> Any:
    """Returns an image of Pillow.

    Args:
        image: uint8 ``[height, width, 1, 3 or 4]``.
    """
    from PIL import Image  # so that importing the package does not load it

    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def _save(
    path: str | os.PathLike[str], image: np.ndarray, form: str, **options: Any
) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in CHANNELS:
        raise ValueError(
            f"the image for {path} is {image.dtype}{list(image.shape)}; it must be "
            "uint8[height, width, 1, 3 or 4]."
        )
    encoded = io.BytesIO()
    as_pillow(image).save(encoded, form, **options)
    with atomic_write(path) as stream:
        stream.write(encoded.getvalue())
