"""Images that can be converted: pictures, prepared tfds datasets, and arrays."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wgan_jax.data.array_files import open_images
from wgan_jax.data.arrays import as_labels, as_levels
from wgan_jax.data.converted import Origin
from wgan_jax.data.files import (
    PictureFile,
    find_pictures,
    picture_names,
    read_pictures,
    state,
    unreadable_error,
)
from wgan_jax.data.pictures import Conversion, convert_levels, decode
from wgan_jax.errors import DataError

_CHUNK = 2**24  # bytes of an array in memory at a time


class Item(NamedTuple):
    """One image before its conversion.

    Attributes:
        name: its name.
        content: bytes whose hash chooses the split.
        image: returns uint8 ``[S, S, C]``, or None to leave it out; raises
            DataError. May be called in any thread.
        label: its class, if the dataset has classes of its own.
    """

    name: str
    content: bytes
    image: Callable[[], np.ndarray | None]
    label: int | None = None


@dataclass(frozen=True, kw_only=True)
class Convertible:
    """A dataset that can be converted.

    Attributes:
        where: where it is, for messages.
        count: number of images.
        conversion: how they are converted.
        state: what the result depends on, as JSON values, besides ``conversion``.
        read: yields the images, without a number of them at the beginning.
        origin: what is known of the dataset.
    """

    where: str
    count: int
    conversion: Conversion
    state: Mapping[str, Any]
    read: Callable[[int], Iterator[Item]]
    origin: Origin = field(default_factory=Origin)


def from_pictures(
    path: Path, *, conversion: Conversion, unreadable: str = "error"
) -> Convertible:
    """Returns the pictures of a folder or an archive.

    Args:
        path: a folder, or a zip or tar archive.
        conversion: how pictures become images.
        unreadable: ``error``, or ``skip`` to leave out files that cannot be
            decoded.

    Raises:
        DataError: if there are none.
    """
    names = picture_names(path)
    skip = unreadable == "skip"

    def image(file: PictureFile) -> np.ndarray | None:
        try:
            return decode(file.content, conversion)
        except ValueError as error:
            if skip:
                return None
            raise unreadable_error(path, file.name, error) from error

    def read(start: int) -> Iterator[Item]:
        for file in read_pictures(path, start=start):
            yield Item(file.name, file.content, partial(image, file))

    return Convertible(
        where=str(path),
        count=len(names),
        conversion=conversion,
        state={"skip": skip, "pictures": _state(find_pictures(path), names)},
        read=read,
    )


def from_tfds(
    name: str,
    *,
    data_dir: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    **options: Any,
) -> Convertible:
    """Returns all splits of a tfds dataset, preparing it first if necessary.

    Args:
        name: name in tfds, with optional config and version.
        data_dir: folder of prepared datasets; None for TFDS_DATA_DIR in the
            environment, or else tfds' default.
        size: side of the images; None for that of the dataset.
        channels: 1, 3 or 4; None for 1 if the dataset is gray, and otherwise 3.
        **options: other fields of ``Conversion``.

    Raises:
        ValueError: if there is no such dataset, or an option is invalid.
        DataError: if it is missing and cannot be downloaded, or its images
            cannot be converted.
    """
    from wgan_jax.data.tfds_reader import (
        damaged_error,
        image_features,
        open_prepared,
        split_sizes,
    )
    from wgan_jax.data.tfds_records import pixels, read_examples

    builder = open_prepared(name, data_dir)
    features = image_features(name, builder)
    shape = features["image"].shape
    conversion = _conversion(f"tfds:{name}", shape, size, channels, options)
    sizes = {key: count for key, count in split_sizes(builder).items() if count}
    labelled = "label" in features

    def image(encoded: bytes) -> np.ndarray:
        try:
            levels = pixels(encoded, shape, shape[:2])
        # Pillow raises exceptions of many types for a damaged file.
        except Exception as error:
            raise damaged_error(name, builder, error) from error
        return convert_levels(levels, conversion)

    def read(start: int) -> Iterator[Item]:
        for split, count in sizes.items():
            first, start = min(start, count), max(start - count, 0)
            if first == count:
                continue
            row = first
            try:
                examples = read_examples(builder, split, features, start=first)
                for encoded, label in examples:
                    yield Item(
                        f"{split}-{row:08d}",
                        encoded,
                        partial(image, encoded),
                        label if labelled else None,
                    )
                    row += 1
            except DataError:
                raise
            # The readers raise exceptions of any type for a damaged file.
            except Exception as error:
                raise damaged_error(name, builder, error) from error
            if row != count:
                missing = ValueError(f"{split} has {row} examples of {count}")
                raise damaged_error(name, builder, missing)

    parts = [builder.info.splits[split].file_instructions for split in sizes]
    files = [Path(part.filename) for group in parts for part in group]
    try:
        found = _state(files, list(sizes.items()))
    except DataError as error:
        raise damaged_error(name, builder, error) from error
    return Convertible(
        where=f"tfds:{name}",
        count=sum(sizes.values()),
        conversion=conversion,
        state={"tfds": name, "version": str(builder.version), "files": found},
        read=read,
        origin=Origin(
            splits=sizes,
            class_names=list(features["label"].names) if labelled else None,
            provenance={
                "origin": "tensorflow_datasets",
                "dataset": name,
                "version": str(builder.version),
            },
        ),
    )


def from_arrays(
    path: Path,
    *,
    low: float | None = None,
    high: float | None = None,
    size: int | None = None,
    channels: int | None = None,
    **options: Any,
) -> Convertible:
    """Returns the images of an ``.npy`` or ``.npz`` file, as ``load_arrays`` does.

    The images are read in parts, so they may be larger than the memory.

    Args:
        path: the file.
        low: value of black in floating-point images.
        high: value of white in floating-point images.
        size: side of the images; None for that of the file.
        channels: 1, 3 or 4; None for that of the file.
        **options: other fields of ``Conversion``.

    Raises:
        ValueError: if an option is invalid.
        DataError: if the file cannot be read, or does not have such arrays.
    """
    file = open_images(path)
    count, *sides = file.shape

    def levels(start: int) -> Iterator[np.ndarray]:
        for first, part in file.read(start, _CHUNK):
            where = f"{path}, images {first} to {first + len(part) - 1}"
            yield from as_levels(part, where=where, low=low, high=high)

    # Checks shape, type and range before the folder is made.
    shape = next(levels(0)).shape
    depth = shape[2] if channels is None else channels
    conversion = _conversion(str(path), shape, size, depth, options)
    labels = None if file.labels is None else as_labels(file.labels, count, str(path))

    def read(start: int) -> Iterator[Item]:
        for row, image in enumerate(levels(start), start):
            yield Item(
                f"{row:08d}",
                image.tobytes(),
                partial(convert_levels, image, conversion),
                None if labels is None else int(labels[row]),
            )

    names = None if labels is None else [str(i) for i in range(labels.max() + 1)]
    return Convertible(
        where=str(path),
        count=count,
        conversion=conversion,
        state={"low": low, "high": high, "arrays": _state([path], sides)},
        read=read,
        origin=Origin(class_names=names, provenance={"origin": "arrays"}),
    )


def _conversion(
    where: str,
    shape: tuple[int, ...],
    size: int | None,
    channels: Any,
    options: Mapping[str, Any],
) -> Conversion:
    """Returns the conversion of images of one shape, which changes none by default."""
    height, width, depth = shape
    conversion = Conversion(
        size=min(height, width) if size is None else size,
        channels=(1 if depth == 1 else 3) if channels is None else channels,
        **options,
    )
    if height != width and conversion.crop == "none":
        raise DataError(
            f"the images of {where} are {width} x {height} pixels, and not square; use "
            "crop=center."
        )
    return conversion


def _state(files: Iterable[Path], about: Any) -> str:
    """Returns a hash that changes with the files."""
    states = [state(file) for file in files]
    listed = json.dumps([about, [(s.st_size, s.st_mtime_ns) for s in states]])
    return hashlib.sha256(listed.encode()).hexdigest()
