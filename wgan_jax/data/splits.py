"""Resolves splits such as ``train[:10%]`` to ranges of examples."""

import hashlib
from collections.abc import Mapping
from itertools import accumulate

import numpy as np

_WHAT = "the split"  # how each message of this file begins


def resolve_split(split: str, sizes: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Resolves a split to ranges of examples.

    The syntax is that of TensorFlow Datasets: ``train``, ``train[:1000]``,
    ``train[80%:]``, ``train[-500:]``, ``train+test``, ``all``. Percentages are
    rounded to the nearest example.

    Args:
        split: the split.
        sizes: number of examples in each split of the dataset, by name.

    Returns:
        ``(name, start, stop)`` of each part in order, with ``start < stop``.

    Raises:
        ValueError: if the syntax is invalid, a named split does not exist, or
            no example is selected.
    """
    ranges = [(split, 0, sizes[split])] if split in sizes else _parse(split, sizes)
    if not all(start < stop for _, start, stop in ranges):
        raise ValueError(
            f"{_WHAT} {split!r} selects no examples; the splits are {_listed(sizes)}."
        )
    return ranges


def short_hash(content: bytes) -> int:
    """Returns the first eight bytes of the SHA-256 of a content, as a number."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")


def are_held_out(hashes: np.ndarray, fraction: float) -> np.ndarray:
    """Returns which examples are in the test split.

    Args:
        hashes: uint64 ``[n]``, ``short_hash`` of each example.
        fraction: expected part of the test split, in [0, 1).
    """
    # Not a comparison as float64, which would round the hashes.
    return np.asarray(hashes, np.uint64) < np.uint64(int(fraction * 2**64))


def split_rows(split: str, tests: np.ndarray) -> np.ndarray:
    """Returns the rows of a split.

    Args:
        split: in the syntax of ``resolve_split``.
        tests: bool ``[n]``, whether each example is in ``test``.

    Raises:
        ValueError: if the split is invalid.
    """
    parts = {"train": np.flatnonzero(~tests), "test": np.flatnonzero(tests)}
    sizes = {name: len(rows) for name, rows in parts.items() if len(rows)}
    ranges = resolve_split(split, sizes)
    return np.concatenate([parts[part][start:stop] for part, start, stop in ranges])


def stored_rows(split: str, sizes: Mapping[str, int]) -> np.ndarray:
    """Returns the rows of a split of examples that are stored split by split.

    Args:
        split: in the syntax of ``resolve_split``.
        sizes: number of examples in each split, in the order of the examples.

    Raises:
        ValueError: if the split is invalid.
    """
    offsets = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
    ranges = resolve_split(split, sizes)
    return np.concatenate(
        [offsets[part] + np.arange(start, stop) for part, start, stop in ranges]
    )


def is_about_split(error: ValueError) -> bool:
    """Returns whether ``resolve_split`` raised an error."""
    return str(error).startswith(_WHAT)


def _parse(split: str, sizes: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Returns the ranges of a split that is not just a name."""
    # Imported here because the common case, a plain name, does not need it.
    import tensorflow_datasets as tfds

    infos = {
        name: tfds.core.SplitInfo(name=name, shard_lengths=[size], num_bytes=0)
        for name, size in sizes.items()
    }
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(infos)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(
            f"{_WHAT} {split!r} is not valid; the splits are {_listed(sizes)}. Use a "
            "name, or a name with a slice such as 'train[:1000]' or 'train[80%:]'."
        ) from error
    return [
        (
            part.splitname,
            part.from_ or 0,
            sizes[part.splitname] if part.to is None else part.to,
        )
        for part in parts
    ]


def _listed(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({size} examples)" for name, size in sizes.items())
