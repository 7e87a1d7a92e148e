"""Paths, and atomic writes: a reader sees the old file or the complete new one."""

import contextlib
import os
import re
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PARTIAL = ".partial"  # suffix of incomplete files
# A path drops the second slash of gs://bucket. A letter alone is a drive.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def check_local(path: str | os.PathLike[str]) -> None:
    """Raises ValueError if a path is the address of remote storage.

    Locks, appended files and atomic replacements need a file system. Without this
    check, a folder named ``gs:`` would be created.

    Args:
        path: path of a file or a folder, such as ``gs://bucket/run``.
    """
    if _ADDRESS.match(os.fspath(path)):
        raise ValueError(
            f"{os.fspath(path)} is an address, not a folder of this machine. Mount the "
            "storage, for example with gcsfuse or s3fs, or copy it, and give that path."
        )


def expanded(path: str | os.PathLike[str]) -> Path:
    """Returns a path, with the home folder in place of ``~`` if it is known.

    Raises:
        ValueError: if the path is the address of remote storage.
    """
    check_local(path)
    with contextlib.suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file that replaces ``path`` if the block ends without an error.

    If the path is a symbolic link, the file that it leads to is replaced. A device
    or a pipe is not replaced: it is written to directly.

    Several processes may write the same file at once. Each uses its own
    temporary file in the same folder, and the last one to finish wins.

    Args:
        path: path of the file, where ``~`` is the home folder; missing folders are
            created.

    Yields:
        A binary stream of the temporary file, which is removed after an error.

    Raises:
        ValueError: if the path is the address of remote storage.
        OSError: if the file cannot be written.
    """
    path = expanded(path)
    if _is_special(path):
        with path.open("wb") as stream:
            yield stream
        return
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with partial.open("wb") as stream:
            yield stream
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def _is_special(path: Path) -> bool:
    """Returns whether a path leads to something other than a file that is replaced."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False  # a new file, or an error that creating its folder raises


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a UTF-8 text file atomically.

    Surrogates, as of names of files in another encoding, are escaped.
    """
    with atomic_write(path) as stream:
        stream.write(text.encode(errors="backslashreplace"))
