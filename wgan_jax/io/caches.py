"""What a user's machine keeps between runs: the folder of it, and reading it safely."""

import os
from pathlib import Path

import numpy as np

from wgan_jax.errors import ArchiveError


def cache_folder() -> Path:
    """The folder of this package in ``$XDG_CACHE_HOME``, or in ``~/.cache``.

    A relative ``$XDG_CACHE_HOME`` is void, as its specification says.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "wgan_jax"


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz``, by name, all of them read and checked.

    Args:
        path: of the file.

    Returns:
        The arrays.

    Raises:
        FileNotFoundError: if there is no file.
        ArchiveError: if it is none, or damaged.
    """
    # Opened here, because numpy leaves a file open that is no archive.
    with Path(path).open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        # A flipped bit can make zipfile, zlib and numpy raise almost anything.
        except Exception as error:
            raise ArchiveError(
                f"{path} cannot be read as an .npz ({type(error).__name__})."
            ) from error
