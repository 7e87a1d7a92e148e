"""On-disk cache of decoded splits, which avoids decoding them at every start."""

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

# CIFAR-10 takes 154 MB. Larger datasets are decoded each time, to not fill the disk.
LARGEST_BYTES = 2**30
KEPT = 4
_DAY = 24 * 3600  # seconds; an older partial file has been abandoned


def remember(
    decode: Callable[[], dict[str, np.ndarray]],
    *,
    files: Iterable[str | os.PathLike[str]],
    about: Mapping[str, Any],
) -> dict[str, np.ndarray]:
    """Returns the result of ``decode``, from the cache if the files are unchanged.

    A file is unchanged if its path, size and modification time are. The cache
    is in the user's cache folder. It keeps the ``KEPT`` most recently used
    splits, of at most ``LARGEST_BYTES`` each. A damaged or unwritable cache is
    ignored.

    Args:
        decode: returns arrays by name; its exceptions are propagated.
        files: the files that it reads.
        about: other values that its result depends on, serializable as JSON.

    Returns:
        Arrays by name.
    """
    try:
        path = cache_folder() / "decoded" / f"{_key(files, about)}.npz"
    except OSError:  # a file is missing; the decoder reports it
        return decode()
    try:
        arrays = read_arrays(path)
    except (OSError, ArchiveError):
        arrays = decode()
    else:
        with contextlib.suppress(OSError):
            os.utime(path)  # marks it as recently used
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
