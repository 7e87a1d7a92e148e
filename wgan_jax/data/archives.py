"""Members of zip and tar archives, read in memory."""

import contextlib
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from wgan_jax.errors import DataError

LARGEST_FILE = 2**28  # bytes of one member
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True)
class Member:
    """A member of an open archive that is not a folder.

    Attributes:
        archive: path of the archive.
        name: path within the archive, with ``/``.
        size: its declared size in bytes.
        open: opens it; None if it is a link or a device.
    """

    archive: Path
    name: str
    size: int
    open: Callable[[], IO[bytes] | None] | None

    def read(self) -> bytes:
        """Returns the content.

        Raises:
            DataError: if it is not a regular file, or too large.
        """
        stream = None
        if self.size > LARGEST_FILE:
            raise DataError(f"{self._where} has more than {LARGEST_FILE:,} bytes.")
        if self.open is not None:
            stream = self.open()
        if stream is None:
            raise DataError(f"{self._where} is not a regular file. Remove it.")
        with stream:
            # Not all that there is: a compressed member may have more than declared.
            return stream.read(self.size)

    def check(self) -> None:
        """Raises DataError if the name is a path outside of the archive."""
        name = self.name.replace("\\", "/")
        drive = re.match("[A-Za-z]:", name)
        if name.startswith("/") or drive or ".." in PurePosixPath(name).parts:
            raise DataError(f"{self._where} is a path outside of the archive.")

    @property
    def _where(self) -> str:
        return f"{self.name} in {self.archive}"


@contextlib.contextmanager
def open_archive(path: Path) -> Iterator[list[Member]]:
    """Opens an archive.

    Args:
        path: the archive.

    Yields:
        Its members without folders, sorted by name. Of members with the same
        name, it is the last one, as if the archive were extracted.

    Raises:
        DataError: if the archive is damaged or encrypted, or has a member with
            a path outside of it.
    """
    with reporting(path), contextlib.ExitStack() as stack:
        if path.name.lower().endswith(".zip"):
            file = stack.enter_context(zipfile.ZipFile(path))
            found = [
                Member(path, m.filename, m.file_size, partial(file.open, m))
                for m in file.infolist()
                if m.filename and not m.is_dir()
            ]
        else:
            tar = stack.enter_context(tarfile.open(path))
            found = [
                Member(
                    path,
                    m.name.removeprefix("./"),
                    m.size,
                    partial(tar.extractfile, m) if m.isfile() else None,
                )
                for m in tar.getmembers()
                if m.name and not m.isdir()
            ]
        for member in found:
            member.check()
        last = {member.name: member for member in found}
        yield sorted(last.values(), key=lambda member: member.name)


@contextlib.contextmanager
def reporting(path: Path, what: str = "") -> Iterator[None]:
    """Raises DataError for all that reading a damaged archive may raise.

    Args:
        path: the archive.
        what: what it cannot be read as, such as `` as an .npz file``.
    """
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
        lzma.LZMAError,
        struct.error,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read{what} ({reason}).") from error
