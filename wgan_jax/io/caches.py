"""The user's cache folder, and safe reading of arrays from it."""

import os
import stat
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from wgan_jax.errors import ArchiveError


def cache_folder() -> Path:
    """Returns this package's folder in ``$XDG_CACHE_HOME``, or in ``~/.cache``.

    As its specification requires, a relative ``$XDG_CACHE_HOME`` is ignored. A
    user without a home directory, as in some containers, gets a private
    temporary folder.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given / "wgan_jax"
    try:
        return Path.home() / ".cache" / "wgan_jax"
    except RuntimeError:
        return private_folder()


def can_write(folder: Path) -> bool:
    """Creates a folder if it is missing, and returns whether files can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


@cache
def private_folder() -> Path:
    """Returns a temporary folder that no other user can write to.

    Later runs get the same folder, unless a folder of that name exists and is
    not private.
    """
    folder = Path(tempfile.gettempdir(), f"wgan_jax-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    private = found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700
    if stat.S_ISDIR(found.st_mode) and private:
        return folder
    return Path(tempfile.mkdtemp(prefix="wgan_jax-"))


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads and verifies all arrays of an ``.npz`` file.

    Args:
        path: path of the file.

    Returns:
        Arrays by name.

    Raises:
        FileNotFoundError: if the file does not exist.
        ArchiveError: if it is damaged or not an ``.npz`` file.
    """
    # Opened here, because numpy does not close a file that is not an archive.
    with Path(path).open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        # For a flipped bit, zipfile, zlib and numpy raise many different exceptions.
        except Exception as error:
            raise ArchiveError(
                f"{path} cannot be read as an .npz file ({type(error).__name__})."
            ) from error
