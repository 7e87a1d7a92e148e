"""Cache of decoded splits on disk, so that a second start does not decode them."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.errors import ArchiveError
from wgan_jax.io.caches import cache_folder, read_arrays
from wgan_jax.io.files import PARTIAL, atomic_write

# CIFAR-10 takes 154 MB, and a dataset that fills a disk is decoded each time.
LARGEST_BYTES = 2**30
KEPT = 4
_DAY = 24 * 3600  # seconds after which nobody is still writing


def remember(
    decode: Callable[[], dict[str, np.ndarray]],
    *,
    files: Iterable[str | os.PathLike[str]],
    about: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """What ``decode`` returns, from disk if it was called on the same files before.

    A file is the same if its path, size and time of last change are. The arrays lie
    in the user's cache folder, of the ``KEPT`` splits used last, at most
    ``LARGEST_BYTES`` each; a damaged or unwritable cache is as good as none.

    Args:
        decode: returns arrays by name; may raise what it likes.
        files: that it reads.
        about: what else its result depends on; anything JSON can hold.

    Returns:
        Arrays by name.
    """
    try:
        path = cache_folder() / "decoded" / f"{_key(files, about)}.npz"
    except OSError:  # a file is missing, and the decoder knows what that means
        return decode()
    try:
        arrays = read_arrays(path)
    except (OSError, ArchiveError):
        arrays = decode()
    else:
        with contextlib.suppress(OSError):
            os.utime(path)  # used last
        return arrays
    if sum(array.nbytes for array in arrays.values()) <= LARGEST_BYTES:
        _keep(path, arrays)
    return arrays


def _key(files: Iterable[str | os.PathLike[str]], about: Mapping[str, Any]) -> str:
    states = [(os.fspath(file), os.stat(file)) for file in sorted(map(str, files))]
    found = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    text = json.dumps([found, dict(about)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _keep(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with contextlib.suppress(OSError):
        with atomic_write(path) as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        kept = sorted(path.parent.glob("*.npz"), key=lambda p: p.stat().st_mtime_ns)
        left = [
            file
            for file in path.parent.glob(f"*{PARTIAL}")
            if time.time() - file.stat().st_mtime > _DAY
        ]
        for old in kept[:-KEPT] + left:
            old.unlink()
