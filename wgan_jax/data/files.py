"""Pictures in a folder or an archive."""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple, NoReturn

from wgan_jax.data.archives import ARCHIVES, open_archive
from wgan_jax.data.pictures import SUFFIXES
from wgan_jax.errors import DataError


class PictureFile(NamedTuple):
    """Content of one file.

    Attributes:
        name: path relative to the folder or within the archive, with ``/``.
        content: its bytes.
    """

    name: str
    content: bytes


def state(path: Path) -> os.stat_result:
    """Returns the state of a file or a folder; links are followed.

    Args:
        path: its path.

    Raises:
        DataError: if it does not exist or cannot be reached.
    """
    try:
        return path.stat()
    except OSError as error:
        if os.path.lexists(path):
            _cannot_read(path, error)
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise DataError(f"{path} does not exist.") from error
        _cannot_read(path, error)
    except ValueError as error:  # a zero byte in the path
        raise DataError(f"{path} does not exist.") from error


def check_file(path: Path) -> None:
    """Raises DataError unless a path is a regular file.

    Reading a pipe or a device might not end.

    Args:
        path: the path.

    Raises:
        DataError: if it is not, or does not exist.
    """
    if not stat.S_ISREG(state(path).st_mode):
        raise DataError(f"{path} is not a regular file.")


def find_pictures(path: Path) -> list[Path]:
    """Returns the files that the pictures of a path are read from.

    Args:
        path: a folder or an archive.

    Returns:
        The archive alone, or all picture files in the folder and its
        subfolders, sorted by name. Hidden files and files with other suffixes
        are ignored. Links are followed.

    Raises:
        DataError: if there is no such folder or archive, it has no pictures, or
            a subfolder cannot be read.
    """
    if os.path.isdir(path):
        found = sorted(_walk(path), key=lambda file: file.as_posix())
        if not found:
            _no_pictures(path)
        return found
    is_file = stat.S_ISREG(state(path).st_mode)
    if not is_file or not path.name.lower().endswith(ARCHIVES):
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
    with open_archive(path) as members:
        names = [member.name for member in members if is_picture(member.name)]
    return names or _no_pictures(path)


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
            yield PictureFile(file.relative_to(path).as_posix(), content_of(file))
        return
    with open_archive(path) as members:
        pictures = [member for member in members if is_picture(member.name)]
        if not pictures:
            _no_pictures(path)
        for member in pictures[start:]:
            yield PictureFile(member.name, member.read())


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
        with open_archive(path) as members:
            names = [member.name for member in members]
    left = Counter(
        PurePosixPath(name).suffix.lower() or PurePosixPath(name).name
        for name in names
        if not is_picture(name)
    )
    return dict(left.most_common())


def is_picture(name: str) -> bool:
    """Returns whether a file has the suffix of a picture and is not hidden."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(map(_is_hidden, path.parts))


def unreadable_error(path: Path, name: str, error: ValueError) -> DataError:
    """Returns the error for a picture that cannot be decoded."""
    where = path / name if path.is_dir() else f"{name} in {path}"
    return DataError(
        f"{where} cannot be used: {error}. Remove the file, or use "
        "--config.dataset.unreadable=skip."
    )


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _walk(folder: Path) -> Iterator[Path]:
    """Yields the pictures below a folder; links are followed, but not in circles."""

    def stop(error: OSError) -> NoReturn:
        _cannot_read(Path(error.filename or folder), error)

    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=stop, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in files:
            if is_picture(name):
                yield Path(root, name)


def content_of(file: Path) -> bytes:
    """Returns the content of a regular file.

    Raises:
        DataError: if it is none, or cannot be read.
    """
    check_file(file)
    try:
        return file.read_bytes()
    except OSError as error:
        _cannot_read(file, error)


def _cannot_read(path: Path, error: OSError) -> NoReturn:
    raise DataError(
        f"{path} cannot be read ({error.strerror or error}). Make it readable, or "
        "remove it."
    ) from error


def _no_pictures(path: Path) -> NoReturn:
    raise DataError(
        f"{path} has no pictures; files with these suffixes are read: "
        f"{', '.join(SUFFIXES)}."
    )
