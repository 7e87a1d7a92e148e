"""Decoding of pictures of any kind to uint8 arrays of one size."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from wgan_jax.ranges import Count, OneOf, check_fields

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MOST_PIXELS = 100_000_000  # of one picture; more is taken for a decompression bomb
FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
Filter = Annotated[str, OneOf(FILTERS)]
_WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # 16 bits per pixel


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How a picture becomes an array.

    Pictures are rotated as their EXIF data says. Of an animation or several pages,
    the first one is used. Sixteen bits are scaled to eight, CMYK, LAB and palettes
    are converted to RGB. Transparent pixels are put on the background; with four
    channels, only the color of fully transparent ones is that of the background.

    Attributes:
        size: side S of the result in pixels.
        channels: 1 for gray, 3 for RGB, 4 for RGB and opacity.
        crop: ``center`` for the largest square in the center; ``none`` to
            reject pictures that are not square.
        filter: filter of resizing; all but ``nearest`` average when
            downscaling.
        background: color below transparent pixels, such as ``white`` or
            ``#ff8800``.

    Raises:
        ValueError: if a value is invalid.
    """

    size: Count
    channels: Literal[1, 3, 4] = 3
    crop: Literal["center", "none"] = "center"
    filter: Filter = "lanczos"
    background: str = "white"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.filter not in FILTERS:
            raise ValueError(
                f"filter is {self.filter!r}; it must be one of {', '.join(FILTERS)}."
            )
        check_color(self.background)


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded.

    Attributes:
        width: width in pixels, after the rotation of its EXIF data.
        height: height in pixels.
        mode: Pillow's mode, such as ``RGB`` or ``P``.
        format: format of the file, such as ``PNG``.
        frames: number of frames.
        is_gray: whether the picture has no colors.
    """

    width: int
    height: int
    mode: str
    format: str
    frames: int
    is_gray: bool


def check_color(color: str) -> None:
    """Raises ValueError if a text is not a color.

    Args:
        color: name or ``#rrggbb``.

    Raises:
        ValueError: if it is neither.
    """
    from PIL import ImageColor

    try:
        ImageColor.getrgb(color)
    except (ValueError, AttributeError) as error:
        raise ValueError(
            f"background is {color!r}; it must be a color, such as white or #ff8800."
        ) from error


def read_header(encoded: bytes) -> Header:
    """Reads the size and the kind of a picture.

    Args:
        encoded: content of the file.

    Returns:
        The header.

    Raises:
        ValueError: if it is not a picture, or has too many pixels.
    """
    with _reporting_damage(), _open(encoded) as picture:
        width, height = picture.size
        if picture.getexif().get(0x0112, 1) in (5, 6, 7, 8):  # rotated by a quarter
            width, height = height, width
        return Header(
            width=width,
            height=height,
            mode=picture.mode,
            format=picture.format or "",
            frames=getattr(picture, "n_frames", 1),
            is_gray=picture.mode in ("1", "L", "LA", "La", *_WIDE),
        )


def decode(encoded: bytes, conversion: Conversion) -> np.ndarray:
    """Decodes a picture.

    Args:
        encoded: content of the file.
        conversion: how it becomes an array.

    Returns:
        uint8 ``[S, S, C]``.

    Raises:
        ValueError: if it is not a picture, is damaged, has too many pixels or
            a kind of pixels that cannot be converted, or is not square without
            cropping.
    """
    from PIL import ImageOps

    with _reporting_damage(), _open(encoded) as opened:
        opened.load()
        picture = _flat(ImageOps.exif_transpose(opened), conversion)
    return _fitted(picture, conversion)


def convert_levels(levels: np.ndarray, conversion: Conversion) -> np.ndarray:
    """Converts an image in memory as ``decode`` converts a picture.

    Args:
        levels: uint8 ``[H, W, C]`` with 1, 3 or 4 channels; the last of four is
            transparency.
        conversion: how it becomes an array.

    Returns:
        uint8 ``[S, S, C]``; the same values if it has this shape already.

    Raises:
        ValueError: if it is not square without cropping.
    """
    from PIL import Image

    if levels.shape == (conversion.size, conversion.size, conversion.channels):
        return np.ascontiguousarray(levels)
    picture = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    return _fitted(_flat(picture, conversion), conversion)


def _fitted(picture: "Image.Image", conversion: Conversion) -> np.ndarray:
    """Returns a picture that ``_flat`` has returned as ``[S, S, C]``."""
    from PIL import Image, ImageColor

    width, height = picture.size
    if width != height:
        if conversion.crop == "none":
            raise ValueError(
                f"it is {width} x {height} pixels, and not square; use crop=center"
            )
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    sides = (conversion.size, conversion.size)
    if picture.size != sides:
        resampling = Image.Resampling[conversion.filter.upper()]
        picture = picture.resize(sides, resampling)
    levels = np.array(picture, np.uint8).reshape(*sides, conversion.channels)
    if conversion.channels == 4:
        # These colors are not seen. They are noise that a GAN would have to learn.
        unseen = levels[..., 3] == 0
        levels[unseen, :3] = ImageColor.getrgb(conversion.background)[:3]
    return levels


@contextlib.contextmanager
def _reporting_damage() -> Iterator[None]:
    try:
        yield
    except (ValueError, MemoryError):
        raise
    # Damaged files make Pillow raise exceptions of many types.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"it is damaged ({reason})") from error


def _open(encoded: bytes) -> "Image.Image":
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(encoded), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(_TOO_LARGE) from error
    except MemoryError:
        raise
    except Exception as error:  # of many types as well
        what = "it is empty" if not encoded else "it is not a picture that can be read"
        raise ValueError(what) from error
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise ValueError(_TOO_LARGE)
    return picture


def _flat(picture: "Image.Image", conversion: Conversion) -> "Image.Image":
    """Returns a picture in mode ``L`` or ``RGB`` without transparency, or ``RGBA``."""
    from PIL import Image, ImageColor

    if picture.mode in _WIDE:
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(
                f"its pixels are {values.min()} to {values.max()}; they must be 0 to "
                "65535"
            )
        levels = Image.fromarray(np.rint(values / 257).astype(np.uint8))
        clear = picture.info.get("transparency")  # a value of the sixteen bits
        if isinstance(clear, int):
            alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
            levels = Image.merge("LA", (levels, alpha))
        picture = levels
    elif picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    elif picture.mode == "LAB":
        picture = picture.convert("RGB")  # there is no way to gray but by RGB
    if conversion.channels == 4:
        return picture.convert("RGBA")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        color = (*ImageColor.getrgb(conversion.background)[:3], 255)
        below = Image.new("RGBA", picture.size, color)
        picture = Image.alpha_composite(below, picture)
    return picture.convert("L" if conversion.channels == 1 else "RGB")


_TOO_LARGE = f"it has more than {MOST_PIXELS:,} pixels"
