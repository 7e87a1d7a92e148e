"""Pictures in a folder or an archive, and their labels."""

import contextlib
import csv
import json
import os
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from wgan_jax.data.pictures import SUFFIXES
from wgan_jax.errors import DataError

LARGEST_FILE = 2**28  # bytes of one picture in an archive
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class PictureFile(NamedTuple):
    """Content of one file.

    Attributes:
        name: path relative to the folder or within the archive, with ``/``.
        content: its bytes.
    """

    name: str
    content: bytes


def find_pictures(path: Path) -> list[Path]:
    """Returns the files that the pictures of a path are read from.

    Args:
        path: a folder or an archive.

    Returns:
        The archive alone, or all picture files in the folder and its
        subfolders, sorted by name. Hidden files and files with other suffixes
        are ignored.

    Raises:
        DataError: if there is no such folder or archive, or it has no pictures.
    """
    if path.is_dir():
        found = sorted(_walk(path), key=lambda file: file.as_posix())
        if not found:
            raise DataError(
                f"{path} has no pictures; files with these suffixes are read: "
                f"{', '.join(SUFFIXES)}."
            )
        return found
    if not path.is_file():
        raise DataError(f"{path} does not exist.")
    if not path.name.lower().endswith(ARCHIVES):
        raise DataError(
            f"{path} is neither a folder nor an archive ({', '.join(ARCHIVES)})."
        )
    return [path]


def picture_names(path: Path) -> list[str]:
    """Returns the names of the pictures that ``read_pictures`` yields.

    Args:
        path: a folder or an archive.

    Raises:
        DataError: as ``read_pictures``.
    """
    files = find_pictures(path)
    if path.is_dir():
        return [file.relative_to(path).as_posix() for file in files]
    with _reporting_archive(path):
        names = sorted(_member_names(path))
    return [name.removeprefix("./") for name in names if is_picture(name)]


def read_pictures(path: Path, *, start: int = 0) -> Iterator[PictureFile]:
    """Yields the pictures of a folder or an archive, sorted by name.

    Archives are read in memory; nothing is extracted.

    Args:
        path: a folder or an archive.
        start: number of pictures to leave out at the beginning.

    Raises:
        DataError: as ``find_pictures``; or if a file or an archive cannot be
            read, or a member of an archive has a path outside of it.
    """
    files = find_pictures(path)
    if path.is_dir():
        for file in files[start:]:
            try:
                content = file.read_bytes()
            except OSError as error:
                raise DataError(
                    f"{file} cannot be read ({error.strerror or error})."
                ) from error
            yield PictureFile(file.relative_to(path).as_posix(), content)
        return
    reader = _zip_members if path.name.lower().endswith(".zip") else _tar_members
    with _reporting_archive(path):
        yield from reader(path, start)


def other_files(path: Path) -> dict[str, int]:
    """Returns the number of files that are not read, by suffix.

    Args:
        path: a folder or a readable archive.
    """
    if path.is_dir():
        names = [
            Path(root, name).relative_to(path).as_posix()
            for root, _, found in os.walk(path)
            for name in found
        ]
    else:
        names = _member_names(path)
    left = Counter(
        PurePosixPath(name).suffix.lower() or PurePosixPath(name).name
        for name in names
        if not is_picture(name)
    )
    return dict(left.most_common())


def folder_labels(names: Sequence[str]) -> tuple[list[int], list[str]] | None:
    """Returns the classes of pictures by their top-level folder.

    Args:
        names: names of the pictures.

    Returns:
        The label of each picture and the names of the classes, sorted; None
        unless all pictures are in at least two folders.
    """
    parts = [PurePosixPath(name).parts for name in names]
    if any(len(part) < 2 for part in parts):
        return None
    classes = sorted({part[0] for part in parts})
    if len(classes) < 2:
        return None
    index = {name: i for i, name in enumerate(classes)}
    return [index[part[0]] for part in parts], classes


def file_labels(path: Path, names: Sequence[str]) -> tuple[list[int], list[str]]:
    """Returns the classes of pictures by a file of labels.

    Args:
        path: a CSV file with the columns file and label, with or without a
            header; or a JSON file with ``{"file": label}``, or
            ``{"labels": [["file", label], ...]}`` as written for StyleGAN.
            Files are named relative to the folder of the pictures.
        names: names of the pictures.

    Returns:
        The label of each picture and the names of the classes: those of the
        numbers 0 to the largest if all labels are whole numbers, else the
        sorted texts.

    Raises:
        DataError: if the file cannot be read, lacks a picture, names a missing
            one, or has two labels for one.
    """
    found: dict[str, str] = {}
    for name, label in _pairs(path):
        if found.setdefault(name, label) != label:
            raise DataError(
                f"{path} has two labels for {name}: {found[name]} and {label}."
            )
    known = set(names)
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"{path} has no label for {missing[0]}{_others(missing)}.")
    absent = [name for name in found if name not in known]
    if absent:
        raise DataError(
            f"{path} has a label for {absent[0]}{_others(absent)}, which is not among "
            "the pictures."
        )
    texts = set(found.values())
    if all(text.isdecimal() for text in texts):
        count = max(map(int, texts)) + 1
        return [int(found[name]) for name in names], [str(i) for i in range(count)]
    classes = sorted(texts)
    index = {name: i for i, name in enumerate(classes)}
    return [index[found[name]] for name in names], classes


def _others(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} others" if len(names) > 1 else ""


def _walk(folder: Path) -> Iterator[Path]:
    """Yields the pictures below a folder; links are followed, but not in circles."""
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if is_picture(name):
                yield Path(root, name)


def is_picture(name: str) -> bool:
    """Returns whether a file has the suffix of a picture and is not hidden."""
    path = PurePosixPath(name)
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden and "__MACOSX" not in name


@contextlib.contextmanager
def _reporting_archive(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        RuntimeError,  # unknown compression, or a password
        OSError,
        ValueError,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read ({reason}).") from error


def _member_names(path: Path) -> list[str]:
    """Returns the names of the members of an archive that are not folders."""
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            return [m.filename for m in archive.infolist() if not m.is_dir()]
    with tarfile.open(path) as tar:
        return [m.name for m in tar.getmembers() if not m.isdir()]


def _zip_members(path: Path, start: int) -> Iterator[PictureFile]:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        for member in members:
            _check_member(path, member.filename)
        pictures = [m for m in members if is_picture(m.filename)]
        for member in sorted(pictures, key=lambda m: m.filename)[start:]:
            with archive.open(member) as stream:
                yield _limited(path, member.filename, stream)


def _tar_members(path: Path, start: int) -> Iterator[PictureFile]:
    with tarfile.open(path) as archive:
        members = [m for m in archive.getmembers() if not m.isdir()]
        for member in members:
            _check_member(path, member.name)
        pictures = [m for m in members if is_picture(m.name)]
        for member in sorted(pictures, key=lambda m: m.name)[start:]:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is None:
                raise DataError(f"{member.name} in {path} is a link, and not a file.")
            yield _limited(path, member.name.removeprefix("./"), stream)


def unreadable_error(path: Path, name: str, error: ValueError) -> DataError:
    """Returns the error for a picture that cannot be decoded."""
    where = path / name if path.is_dir() else f"{name} in {path}"
    return DataError(
        f"{where} cannot be used: {error}. Remove the file, or use "
        "--config.dataset.unreadable=skip."
    )


def _limited(path: Path, name: str, stream: IO[bytes]) -> PictureFile:
    content = stream.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise DataError(f"{name} in {path} has more than {LARGEST_FILE:,} bytes.")
    return PictureFile(name, content)


def _check_member(path: Path, name: str) -> None:
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]:
        raise DataError(f"{name} in {path} is a path outside of the archive.")


def _pairs(path: Path) -> list[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return _json_pairs(json.loads(text))
        rows = [row for row in csv.reader(text.splitlines()) if row]
        pairs = [(name.strip(), label.strip()) for name, label in rows]
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path} cannot be read as a file of labels ({reason}); it must be a CSV "
            "file with the columns file and label, or a JSON file."
        ) from error
    return pairs[1:] if pairs and not is_picture(pairs[0][0]) else pairs


def _json_pairs(content: Any) -> list[tuple[str, str]]:
    if isinstance(content, Mapping) and isinstance(content.get("labels"), list):
        content = content["labels"]
    pairs = content.items() if isinstance(content, Mapping) else content
    return [(str(name), str(label)) for name, label in pairs]
