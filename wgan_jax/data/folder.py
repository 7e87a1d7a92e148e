"""Datasets of pictures in a folder or an archive."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Lt

from wgan_jax.data.converted import Origin, is_converted, open_converted
from wgan_jax.data.decoded import remember
from wgan_jax.data.files import (
    find_pictures,
    picture_names,
    read_pictures,
    unreadable_error,
)
from wgan_jax.data.labels import file_labels, folder_labels
from wgan_jax.data.pictures import Conversion, Filter, decode, read_header
from wgan_jax.data.records import StoredImages, take
from wgan_jax.data.source import Source
from wgan_jax.data.splits import are_held_out, short_hash, split_rows, stored_rows
from wgan_jax.errors import DataError
from wgan_jax.io.files import expanded
from wgan_jax.ranges import Count

# Version of the decoded cache. Increment it when decoding changes.
_DECODER = 3


@dataclass(frozen=True)
class Decoded:
    """All pictures of a path.

    Attributes:
        images: uint8 ``[n, S, S, C]``, sorted by name.
        names: their names.
        files: uint64 ``[n]``, first eight bytes of the SHA-256 of each file.
        skipped: names of the files that could not be decoded.
        origin: what is known of the dataset that they come from.
        labels: int32 ``[n]``, if that dataset has classes of its own.
    """

    images: np.ndarray | StoredImages
    names: list[str]
    files: np.ndarray
    skipped: list[str]
    origin: Origin = field(default_factory=Origin)
    labels: np.ndarray | None = None


def load_folder(
    name: str,
    *,
    split: str,
    path: str = "",
    size: Count | None = None,
    channels: Literal[1, 3, 4] | None = None,
    crop: Literal["center", "none"] = "center",
    filter: Filter = "lanczos",
    background: str = "white",
    label_file: str | None = None,
    held_out: Annotated[float, Ge(0), Lt(1)] = 0.0,
    unreadable: Literal["error", "skip"] = "error",
    memory_limit: Count = 4096,
) -> Source:
    """Loads the pictures of a folder, or of a zip or tar archive.

    PNG, JPEG, WebP, GIF, BMP and TIFF files are read, in all subfolders. See
    ``pictures.Conversion`` for what happens to transparency, animations, and
    other kinds of pixels. A folder written by ``converting.convert`` has images
    of the size and the kind that were chosen then, and the classes and splits of
    the dataset that was converted.

    Args:
        name: ``folder``.
        split: ``train`` or ``test``, or a part, in the syntax of
            ``resolve_split``.
        path: the folder or the archive. It has to be given.
        size: side of the images in pixels; None if all pictures are squares of
            one size.
        channels: 1 for gray, 3 for RGB, 4 for RGB and opacity; None for gray if all
            pictures are, and otherwise RGB.
        crop: ``center`` for the largest square in the center; ``none`` to
            reject pictures that are not square.
        filter: filter of resizing.
        background: color below transparent pixels.
        label_file: CSV or JSON file of labels. If None, the top-level folders
            are the classes, if all pictures are in at least two of them.
        held_out: fraction of the pictures in the split ``test``, in [0, 1). A
            picture is chosen by a hash of its file, so it stays in its split
            when others are added, and copies are in the same split.
        unreadable: ``error``, or ``skip`` to leave out files that cannot be
            decoded.
        memory_limit: size of all images in MiB above which converted ones are
            read from their files for each batch, and others are refused.

    Returns:
        The source. Its provenance has the names of the classes.

    Raises:
        ValueError: if an option or the split is invalid.
        DataError: if a file cannot be read; the message names it.
    """
    if not path:
        raise ValueError(
            "path is not set; it must be a folder of pictures, or a zip or tar archive."
        )
    folder = expanded(path)
    wanted = {"size": size, "channels": channels, "crop": crop, "filter": filter}
    wanted["background"] = background
    if is_converted(folder):
        decoded = _converted(folder, wanted)
    else:
        decoded = _in_memory(folder, wanted, unreadable, memory_limit)
    labels = _labels(decoded, label_file)
    rows = _rows(folder, decoded, split, held_out)
    images = take(decoded.images, rows)
    if isinstance(images, StoredImages) and images.nbytes <= memory_limit * 2**20:
        images.load()
    return Source(
        name=name,
        split=split,
        images=images,
        labels=None if labels is None else np.array(labels[0], np.int32)[rows],
        num_classes=None if labels is None else len(labels[1]),
        provenance={
            **decoded.origin.provenance,
            "skipped": len(decoded.skipped),
            **({} if labels is None else {"class_names": labels[1]}),
        },
        ids=rows,
    )


def described_folder(
    name: str,
    *,
    split: str,
    path: str = "",
    size: int | None = None,
    channels: Literal[1, 3, 4] | None = None,
    **others: Any,
) -> Source:
    """Returns the shapes of ``load_folder``, without a path if the size is given.

    Args:
        name: ``folder``.
        split: as for ``load_folder``.
        path: as for ``load_folder``. If empty, there are no examples.
        size: as for ``load_folder``.
        channels: as for ``load_folder``; without a path, None is RGB.
        **others: other options of ``load_folder``.

    Returns:
        The source.

    Raises:
        ValueError: as ``load_folder``.
        DataError: as ``load_folder``.
    """
    if path or size is None:
        return load_folder(
            name, split=split, path=path, size=size, channels=channels, **others
        )
    shape = (0, size, size, channels or 3)
    return Source(name=name, split=split, images=np.empty(shape, np.uint8))


def _converted(folder: Path, wanted: dict[str, Any]) -> Decoded:
    """Opens converted pictures, if they are of the wanted kind."""
    found = open_converted(folder)
    for name, value in wanted.items():
        known = getattr(found.conversion, name)
        if value is not None and value != known:
            raise DataError(
                f"the pictures in {folder} were converted with {name}={known}, but "
                f"{name} is {value}. Set --config.dataset.{name}={known}, or convert "
                "the pictures again."
            )
    return Decoded(
        images=found.images,
        names=found.names,
        files=found.images.index.files,
        skipped=found.skipped,
        origin=found.origin,
        labels=found.labels,
    )


def _in_memory(
    folder: Path, wanted: dict[str, Any], unreadable: str, memory_limit: int
) -> Decoded:
    """Decodes all pictures, if they fit in memory."""
    files = find_pictures(folder)
    size, channels = wanted["size"], wanted["channels"]
    if size is None or channels is None:
        size, channels = _from_headers(folder, size, channels, unreadable)
    conversion = Conversion(**wanted | {"size": size, "channels": channels})
    count = len(files) if folder.is_dir() else len(picture_names(folder))
    needed = count * size * size * channels / 2**20
    if needed > memory_limit:
        raise DataError(
            f"the {count:,} pictures in {folder} take {needed:,.0f} MiB at {size} "
            f"pixels, and the limit is {memory_limit:,}. Convert them with wgan-jax "
            f"data convert, or set --config.dataset.memory_limit={math.ceil(needed)}."
        )
    return _remembered(folder, files, conversion, unreadable)


def _remembered(
    folder: Path, files: Sequence[Path], conversion: Conversion, unreadable: str
) -> Decoded:
    """Decodes all pictures, or reads them from the cache."""
    import PIL

    def all_arrays() -> dict[str, np.ndarray]:
        images, names, hashes, skipped = [], [], [], list[str]()
        for file in read_pictures(folder):
            try:
                images.append(decode(file.content, conversion))
            except ValueError as error:
                if unreadable == "error":
                    raise unreadable_error(folder, file.name, error) from error
                skipped.append(file.name)
                continue
            names.append(file.name)
            hashes.append(short_hash(file.content))
        if not images:
            raise DataError(f"no picture in {folder} is readable.")
        return {
            "images": np.stack(images),
            "names": np.array(names),
            "files": np.array(hashes, np.uint64),
            "skipped": np.array(skipped, dtype=np.str_),
        }

    arrays = remember(
        all_arrays,
        files=files,
        about={
            "decoder": _DECODER,
            "pillow": PIL.__version__,
            "folder": str(folder),
            "conversion": vars(conversion),
            "unreadable": unreadable,
        },
    )
    return Decoded(
        arrays["images"],
        arrays["names"].tolist(),
        arrays["files"],
        arrays["skipped"].tolist(),
    )


def _from_headers(
    folder: Path, size: int | None, channels: Any, unreadable: str
) -> tuple[int, Any]:
    """Returns size and channels, read from the pictures where they are None."""
    sizes: dict[tuple[int, int], str] = {}
    gray = True
    for file in read_pictures(folder):
        try:
            header = read_header(file.content)
        except ValueError as error:
            if unreadable == "error":
                raise unreadable_error(folder, file.name, error) from error
            continue
        gray &= header.is_gray
        sizes.setdefault((header.width, header.height), file.name)
    if not sizes:
        raise DataError(f"no picture in {folder} is readable.")
    (width, height), first = next(iter(sizes.items()))
    if size is None and (len(sizes) > 1 or width != height):
        other = list(sizes.items())[-1]
        raise DataError(
            f"the pictures in {folder} are not squares of one size ({first} is {width} "
            f"x {height}, {other[1]} is {other[0][0]} x {other[0][1]}). Set "
            "--config.dataset.size to the side to which they are resized."
        )
    return size or width, channels or (1 if gray else 3)


def _labels(
    decoded: Decoded, label_file: str | None
) -> tuple[Sequence[int] | np.ndarray, Sequence[str]] | None:
    if label_file is not None:
        return file_labels(expanded(label_file), decoded.names, decoded.skipped)
    if decoded.labels is not None and decoded.origin.class_names is not None:
        return decoded.labels, decoded.origin.class_names
    return folder_labels(decoded.names)


def _rows(folder: Path, decoded: Decoded, split: str, held_out: float) -> np.ndarray:
    """Returns the rows of a split, of the dataset's own ones if it has any."""
    sizes = decoded.origin.splits
    if sizes is None:
        return split_rows(split, are_held_out(decoded.files, held_out))
    if held_out:
        raise DataError(
            f"the images in {folder} have the splits {', '.join(sizes)}, but held_out "
            f"is {held_out:g}; leave it at 0."
        )
    return stored_rows(split, sizes)
