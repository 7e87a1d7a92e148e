"""Images in array_record files, which are read one batch at a time."""

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wgan_jax.data.splits import short_hash
from wgan_jax.errors import DataError

# One record a group: batches are read at random, and a group is read as a whole.
WRITER_OPTIONS = "group_size:1,zstd:1"
CODEC = ("utf-8", "surrogatepass")  # names may have bytes that are not UTF-8
_PART = 2**24  # bytes of images that load reads at once
_INDEX = ("names", "files", "pixels", "minima", "maxima", "sums")


@dataclass(frozen=True, eq=False)
class Index:
    """What is known of the images without reading them, each an array over images.

    Attributes:
        names: name of each picture, encoded as UTF-8.
        files: uint64, first eight bytes of the SHA-256 of the file.
        pixels: uint64, first eight bytes of the SHA-256 of the pixels.
        minima: uint8, smallest value.
        maxima: uint8, largest value.
        sums: uint64, sum of all values.
    """

    names: np.ndarray
    files: np.ndarray
    pixels: np.ndarray
    minima: np.ndarray
    maxima: np.ndarray
    sums: np.ndarray

    def select(self, rows: np.ndarray) -> "Index":
        """Returns the entries of some images."""
        return Index(**{name: getattr(self, name)[rows] for name in _INDEX})

    @staticmethod
    def concatenate(parts: Sequence["Index"]) -> "Index":
        """Returns the entries of all parts."""
        return Index(
            **{
                name: np.concatenate([getattr(p, name) for p in parts])
                for name in _INDEX
            }
        )


class Entry(NamedTuple):
    """Entries of the index for one image."""

    files: int
    pixels: int
    minima: int
    maxima: int
    sums: int

    @staticmethod
    def of(content: bytes, image: np.ndarray) -> "Entry":
        """Returns the entries of a file and its image."""
        return Entry(
            files=short_hash(content),
            pixels=short_hash(image.tobytes()),
            minima=int(image.min()),
            maxima=int(image.max()),
            sums=int(image.sum(dtype=np.uint64)),
        )


def index_arrays(names: Sequence[str], entries: Sequence[Entry]) -> dict[str, Any]:
    """Returns the arrays of an index by name."""
    columns = np.array(entries, np.uint64).reshape(-1, len(Entry._fields)).T
    dtypes = {"minima": np.uint8, "maxima": np.uint8}
    found = {
        field: column.astype(dtypes.get(field, np.uint64))
        for field, column in zip(Entry._fields, columns, strict=True)
    }
    return {"names": np.array([n.encode(*CODEC) for n in names], np.bytes_), **found}


class Summary(NamedTuple):
    """Statistics of all pixels, and a hash that can be updated."""

    minimum: float
    maximum: float
    mean: float
    sha256: "hashlib._Hash"


class StoredImages:
    """Images in array_record files, indexed like an array.

    Reading with an integer array or a slice returns uint8 images in memory.
    Several threads may read at once.

    Attributes:
        shape: ``(n, H, W, C)``.
        in_memory: all images after ``load``, else None.
        index: what is known of the images.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        files: Sequence[Path],
        index: Index,
        example_shape: tuple[int, int, int],
        rows: np.ndarray | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            files: the array_record files, in order.
            index: what is known of all their images.
            example_shape: ``(H, W, C)``.
            rows: the images to use, in this order; None for all.
        """
        self._files, self._all, self._opened = list(files), index, threading.local()
        self._rows = np.arange(len(index.names)) if rows is None else rows
        self.in_memory: np.ndarray | None = None
        self.index = index.select(self._rows)
        self.shape = (len(self._rows), *example_shape)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Size in memory of all images, in bytes."""
        return int(np.prod(self.shape, dtype=np.int64))

    def select(self, rows: np.ndarray) -> "StoredImages":
        """Returns some of the images without reading them."""
        return StoredImages(self._files, self._all, self.shape[1:], self._rows[rows])

    def load(self) -> None:
        """Reads all images, so that later reading is from memory."""
        # In parts, because reading takes twice the size of the images in addition.
        found = np.empty(self.shape, self.dtype)
        count = max(1, _PART // math.prod(self.shape[1:]))
        for start in range(0, len(found), count):
            found[start : start + count] = self[start : start + count]
        self.in_memory = found

    def __getitem__(self, rows: Any) -> np.ndarray:
        if self.in_memory is not None:
            return self.in_memory[rows]
        chosen = self._rows[rows]
        flat = np.atleast_1d(chosen).ravel()
        try:
            records = self._reader().__getitems__(flat.tolist()) if len(flat) else []
            # Joined by a bytearray, whose memory can be written to.
            pixels = np.frombuffer(bytearray().join(records), np.uint8)
            return pixels.reshape(*chosen.shape, *self.shape[1:])
        except (OSError, ValueError, RuntimeError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"{self._files[0].parent} cannot be read ({reason}); convert the "
                "pictures again."
            ) from error

    def _reader(self) -> Any:
        if not hasattr(self._opened, "reader"):
            from array_record.python.array_record_data_source import (
                ArrayRecordDataSource,
            )

            self._opened.reader = ArrayRecordDataSource([str(f) for f in self._files])
        return self._opened.reader

    def summary(self) -> Summary:
        """Returns statistics of the pixels, and a hash of the hashes of all images."""
        index = self.index
        return Summary(
            minimum=float(index.minima.min()),
            maximum=float(index.maxima.max()),
            mean=float(index.sums.sum(dtype=np.float64) / self.nbytes),
            sha256=hashlib.sha256(index.pixels.tobytes()),
        )


def take(images: np.ndarray | StoredImages, rows: np.ndarray) -> Any:
    """Returns some images; those in files are not read."""
    return images.select(rows) if isinstance(images, StoredImages) else images[rows]
