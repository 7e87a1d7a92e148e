"""Decoded splits kept on disk, so that a second start need not decode again."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.caches import ArchiveError, cache_folder, read_arrays

# CIFAR-10 takes 154 MB, and a data set that fills a disk is decoded each time.
LARGEST_BYTES = 2**30
KEPT = 4


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
    except OSError:  # a file is not there: let the decoder say what that means
        return decode()
    try:
        arrays = read_arrays(path)
        os.utime(path)  # used last
        return arrays
    except (OSError, ArchiveError):
        arrays = decode()
    if sum(array.nbytes for array in arrays.values()) <= LARGEST_BYTES:
        _keep(path, arrays)
    return arrays


def _key(files: Iterable[str | os.PathLike[str]], about: Mapping[str, Any]) -> str:
    states = [(os.fspath(file), os.stat(file)) for file in sorted(map(str, files))]
    found = [(name, state.st_size, state.st_mtime_ns) for name, state in states]
    text = json.dumps([found, dict(about)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _keep(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        fresh.replace(path)
        kept = sorted(path.parent.glob("*.npz"), key=lambda p: p.stat().st_mtime_ns)
        for old in kept[:-KEPT]:
            old.unlink()
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
