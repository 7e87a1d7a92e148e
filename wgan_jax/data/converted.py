"""Folders of converted images.

A folder has the files ``shard-NNNNN.array_record``, whose records are the pixels of one
image each; ``shard-NNNNN.npz``, what is known of these images; and ``pictures.json``,
which is written last.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.data.pictures import Conversion
from wgan_jax.data.records import CODEC, Index, StoredImages
from wgan_jax.errors import ArchiveError, DataError
from wgan_jax.io.caches import read_arrays
from wgan_jax.io.json_text import parse_json

FORMAT = 1
SUMMARY = "pictures.json"
PLAN = "conversion.json"


@dataclass(frozen=True, eq=False)
class Shard:
    """What is known of the images of one file.

    Attributes:
        index: its entries of the index.
        skipped: names of the pictures that could not be decoded.
        labels: int32, the class of each image; None if the names tell.
    """

    index: Index
    skipped: list[str]
    labels: np.ndarray | None


@dataclass(frozen=True)
class Origin:
    """What is known of a dataset whose images are converted.

    Attributes:
        splits: number of images in each split, in the order of the images; None
            if they are chosen when the images are loaded.
        class_names: names of the classes; None without labels, or if the names
            of the pictures tell the classes.
        provenance: origin of the images, as JSON values.
    """

    splits: Mapping[str, int] | None = None
    class_names: Sequence[str] | None = None
    provenance: Mapping[str, Any] = field(
        default_factory=lambda: {"origin": "pictures"}
    )


@dataclass(frozen=True)
class Converted:
    """A folder of converted images.

    Attributes:
        images: the images.
        conversion: how the pictures became images.
        skipped: names of the files that could not be decoded.
        origin: what is known of the dataset.
        labels: int32 ``[n]``, or None.
    """

    images: StoredImages
    conversion: Conversion
    skipped: list[str]
    origin: Origin = field(default_factory=Origin)
    labels: np.ndarray | None = None

    @property
    def names(self) -> list[str]:
        """Name of each picture."""
        return [name.decode(*CODEC) for name in self.images.index.names.tolist()]


def is_converted(folder: Path) -> bool:
    """Returns whether a folder has converted pictures, perhaps not yet all."""
    return os.path.isfile(folder / PLAN)


def open_converted(folder: Path) -> Converted:
    """Opens a folder of converted pictures.

    Args:
        folder: a folder written by ``convert``.

    Raises:
        DataError: if a file is missing, damaged or of another version.
    """
    summary = _summary(folder)
    conversion = Conversion(**summary["conversion"])
    files, parts, labels = [], [], []
    for number, count in enumerate(summary["shards"]):
        if not count:
            continue  # a file without records cannot be opened
        files.append(folder / f"{shard_name(number)}.array_record")
        shard = read_shard(folder, number)
        if len(shard.index.names) != count or not files[-1].is_file():
            raise DataError(_again(folder, f"{files[-1].name} is incomplete"))
        parts.append(shard.index)
        labels.append(shard.labels)
    size = conversion.size
    shape = (size, size, int(conversion.channels))
    images = StoredImages(files, Index.concatenate(parts), shape)
    origin = Origin(**summary["origin"])
    known = [part for part in labels if part is not None]
    if len(known) != (0 if origin.class_names is None else len(labels)):
        raise DataError(_again(folder, f"{SUMMARY} does not fit the other files"))
    return Converted(
        images,
        conversion,
        summary["skipped"],
        origin,
        np.concatenate(known) if known else None,
    )


def shard_name(number: int) -> str:
    """Returns the name of a shard's files without their suffixes."""
    return f"shard-{number:05d}"


def read_shard(folder: Path, number: int) -> Shard:
    """Returns what is known of the images of one file.

    Raises:
        DataError: if it is missing or damaged.
    """
    path = folder / f"{shard_name(number)}.npz"
    try:
        arrays = read_arrays(path)
        skipped = arrays.pop("skipped").tolist()
        labels = arrays.pop("labels", None)
        return Shard(Index(**arrays), skipped, labels)
    except (OSError, ArchiveError, TypeError, KeyError) as error:
        raise DataError(_again(folder, f"{path.name} is missing or damaged")) from error


def _summary(folder: Path) -> Mapping[str, Any]:
    path = folder / SUMMARY
    if not path.is_file():
        raise DataError(
            f"the conversion in {folder} was not finished; start wgan-jax data convert "
            "again."
        )
    try:
        found = parse_json(path.read_text())
        known = {
            key: found[key] for key in ("format", "conversion", "shards", "skipped")
        } | {"origin": found.get("origin", {})}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(_again(folder, f"{SUMMARY} is damaged")) from error
    if known["format"] != FORMAT:
        raise DataError(
            f"{folder} was converted by another version of wgan_jax (format "
            f"{known['format']}, here {FORMAT}); convert the pictures again."
        )
    return known


def _again(folder: Path, what: str) -> str:
    return f"{folder} cannot be read: {what}. Convert the pictures again."
