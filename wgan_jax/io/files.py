"""Atomic writes: a reader finds the old file or the whole new one."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PARTIAL = ".partial"  # ends the name of a file that is not complete


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file that replaces another when the block ends without an error.

    Two processes may write the same file at once: each has a temporary file of its
    own beside it, and the last one to finish wins.

    Args:
        path: of the file; missing folders are made.

    Yields:
        A binary stream of the temporary file, which an error removes.

    Raises:
        OSError: if the file cannot be written.
    """
    path = Path(path)
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


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a UTF-8 text file by ``atomic_write``."""
    with atomic_write(path) as stream:
        stream.write(text.encode())
