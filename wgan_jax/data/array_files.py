"""Reads the images of ``.npy`` and ``.npz`` files in parts."""

import contextlib
import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from wgan_jax.data.archives import reporting
from wgan_jax.data.files import check_file
from wgan_jax.errors import DataError

KEYS = {
    "images": ("images", "image", "x", "arr_0"),
    "labels": ("labels", "label", "y"),
}
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class ArrayFile:
    """Images in a file.

    Attributes:
        path: the file.
        member: name of the images in an ``.npz`` file; None in an ``.npy`` file.
        shape: shape of all images, the first axis over images.
        dtype: their type.
        labels: the array of labels, or None.
    """

    path: Path
    member: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    labels: np.ndarray | None

    def read(self, start: int, size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields parts of the images.

        Args:
            start: number of images to leave out at the beginning.
            size: bytes of one part; it has at least one image.

        Yields:
            The number of the first image, and the images.

        Raises:
            DataError: if the file cannot be read.
        """
        count, *sides = self.shape
        bytes_each = math.prod(sides) * self.dtype.itemsize
        rows = max(size // bytes_each, 1)
        with _reporting(self.path), _opened(self.path, self.member) as stream:
            _header(stream)
            stream.seek(start * bytes_each, 1)
            for first in range(start, count, rows):
                shape = (min(rows, count - first), *sides)
                content = stream.read(shape[0] * bytes_each)
                yield first, np.frombuffer(content, self.dtype).reshape(shape)


def open_images(path: Path) -> ArrayFile:
    """Opens the images of an ``.npy`` or ``.npz`` file, and reads its labels.

    Args:
        path: the file.

    Returns:
        The images, which are not read yet.

    Raises:
        DataError: if the file does not exist, cannot be read, or has no images.
    """
    check_file(path)
    member, labels = None, None
    if path.suffix.lower() != ".npy":
        with _reporting(path), zipfile.ZipFile(path) as archive:
            members = {n.removesuffix(".npy"): n for n in archive.namelist()}
        member = named(members, "images")
        if member is None:
            raise no_images(path, list(members))
        label_member = named(members, "labels")
        if label_member is not None:
            with _reporting(path), _opened(path, label_member) as stream:
                labels = np.lib.format.read_array(stream, allow_pickle=False)
    with _reporting(path), _opened(path, member) as stream:
        shape, in_columns, dtype = _header(stream)
    empty = not shape or not math.prod(shape) * dtype.itemsize
    if in_columns or dtype.hasobject or empty:
        order = "Fortran" if in_columns else "C"
        raise DataError(
            f"{path}: the images are {dtype} {list(shape)} in {order} order; they must "
            "be numbers [n, H, W, C] in C order (numpy.ascontiguousarray)."
        )
    return ArrayFile(path, member, shape, dtype, labels)


def named(arrays: Mapping[str, _T], kind: str) -> _T | None:
    """Returns the array that is named like images or like labels.

    Args:
        arrays: arrays by name.
        kind: a key of ``KEYS``.
    """
    return next((arrays[name] for name in KEYS[kind] if name in arrays), None)


def no_images(path: Path, names: Sequence[str]) -> DataError:
    """Returns the error for a file without images."""
    return DataError(
        f"{path} has the arrays {', '.join(names) or 'none'}; one of them must be "
        "named images."
    )


@contextlib.contextmanager
def _opened(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    if member is None:
        with path.open("rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        yield stream


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Reads shape, whether it is in Fortran order, and type of an array."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the format is not known")
    return _HEADERS[version](stream)


def _reporting(path: Path) -> contextlib.AbstractContextManager[None]:
    kind = "an .npy" if path.suffix.lower() == ".npy" else "an .npz"
    return reporting(path, f" as {kind} file")
