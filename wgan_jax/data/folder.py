"""Datasets of pictures in a folder or an archive."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Lt

from wgan_jax.data.decoded import remember
from wgan_jax.data.files import (
    PictureFile,
    file_labels,
    find_pictures,
    folder_labels,
    read_pictures,
)
from wgan_jax.data.pictures import Conversion, Filter, decode, read_header
from wgan_jax.data.source import Source
from wgan_jax.data.splits import is_held_out, split_rows
from wgan_jax.errors import DataError
from wgan_jax.ranges import Count

# Version of the decoded cache. Increment it when decoding changes.
_DECODER = 1


@dataclass(frozen=True)
class Decoded:
    """All pictures of a path.

    Attributes:
        images: uint8 ``[n, S, S, C]``, sorted by name.
        names: their names.
        held_out: whether each belongs to the test split.
        skipped: names of the files that could not be decoded.
    """

    images: np.ndarray
    names: list[str]
    held_out: np.ndarray
    skipped: list[str]


def load_folder(
    name: str,
    *,
    split: str,
    path: str = "",
    size: Count | None = None,
    channels: Literal[1, 3] | None = None,
    crop: Literal["center", "none"] = "center",
    filter: Filter = "lanczos",
    background: str = "white",
    label_file: str | None = None,
    held_out: Annotated[float, Ge(0), Lt(1)] = 0.0,
    unreadable: Literal["error", "skip"] = "error",
) -> Source:
    """Loads the pictures of a folder, or of a zip or tar archive.

    PNG, JPEG, WebP, GIF, BMP and TIFF files are read, in all subfolders. See
    ``pictures.Conversion`` for what happens to transparency, animations, and
    other kinds of pixels.

    Args:
        name: ``folder``.
        split: ``train`` or ``test``, or a part, in the syntax of
            ``resolve_split``.
        path: the folder or the archive. It has to be given.
        size: side of the images in pixels; None if all pictures are squares of
            one size.
        channels: 1 for gray, 3 for RGB; None for gray if all pictures are.
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
    folder = Path(path).expanduser()
    files = find_pictures(folder)
    if size is None or channels is None:
        size, channels = _from_headers(folder, size, channels, unreadable)
    conversion = Conversion(
        size=size,
        channels=channels,
        crop=crop,
        filter=filter,
        background=background,
    )
    decoded = _remembered(folder, files, conversion, held_out, unreadable)
    labels = _labels(folder, decoded.names, label_file)
    rows = split_rows(split, decoded.held_out)
    return Source(
        name=name,
        split=split,
        images=decoded.images[rows],
        labels=None if labels is None else np.array(labels[0], np.int32)[rows],
        num_classes=None if labels is None else len(labels[1]),
        provenance={
            "origin": "pictures",
            "skipped": len(decoded.skipped),
            **({} if labels is None else {"class_names": labels[1]}),
        },
    )


def described_folder(
    name: str,
    *,
    split: str,
    path: str = "",
    size: int | None = None,
    channels: Literal[1, 3] | None = None,
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


def _remembered(
    folder: Path,
    files: Sequence[Path],
    conversion: Conversion,
    held_out: float,
    unreadable: str,
) -> Decoded:
    """Decodes all pictures, or reads them from the cache."""
    import PIL

    def all_arrays() -> dict[str, np.ndarray]:
        images, names, tests, skipped = [], [], [], list[str]()
        for file in read_pictures(folder):
            try:
                images.append(decode(file.content, conversion))
            except ValueError as error:
                if unreadable == "error":
                    raise _unreadable(folder, file, error) from error
                skipped.append(file.name)
                continue
            names.append(file.name)
            tests.append(is_held_out(file.content, held_out))
        if not images:
            raise DataError(f"no picture in {folder} is readable.")
        return {
            "images": np.stack(images),
            "names": np.array(names),
            "held_out": np.array(tests),
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
            "held_out": held_out,
            "unreadable": unreadable,
        },
    )
    return Decoded(
        arrays["images"],
        arrays["names"].tolist(),
        arrays["held_out"],
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
                raise _unreadable(folder, file, error) from error
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


def _unreadable(folder: Path, file: PictureFile, error: ValueError) -> DataError:
    where = folder / file.name if folder.is_dir() else f"{file.name} in {folder}"
    return DataError(
        f"{where} cannot be used: {error}. Remove the file, or use "
        "--config.dataset.unreadable=skip."
    )


def _labels(
    folder: Path, names: Sequence[str], label_file: str | None
) -> tuple[list[int], list[str]] | None:
    if label_file is None:
        return folder_labels(names)
    return file_labels(Path(label_file).expanduser(), names)
