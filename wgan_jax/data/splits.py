"""Which examples a split such as ``train[:10%]`` selects."""

from collections.abc import Mapping


def resolve_split(split: str, sizes: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Translates a split into ranges of examples.

    The grammar is that of TensorFlow Datasets: ``train``, ``train[:1000]``,
    ``train[80%:]``, ``train[-500:]``, ``train+test``, ``all``. A percentage is
    rounded to the nearest example.

    Args:
      split: what to select.
      sizes: examples in each split of the dataset, by name.

    Returns:
      ``(name, start, stop)`` of each part in the order written, ``start < stop``.

    Raises:
      ValueError: the split is not of this grammar, names a split that the
        dataset lacks, or selects no example.
    """
    ranges = [(split, 0, sizes[split])] if split in sizes else _parse(split, sizes)
    if not all(start < stop for _, start, stop in ranges):
        raise ValueError(f"the split {split!r} selects no example of {_listed(sizes)}.")
    return ranges


def _parse(split: str, sizes: Mapping[str, int]) -> list[tuple[str, int, int]]:
    """Ranges of a split that is more than a bare name."""
    # Imported here because a bare name, the common case, needs none of it.
    import tensorflow_datasets as tfds

    infos = {
        name: tfds.core.SplitInfo(name=name, shard_lengths=[size], num_bytes=0)
        for name, size in sizes.items()
    }
    try:
        parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(infos)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(
            f"the split {split!r} does not select from {_listed(sizes)}: write a name, "
            "or a name with a slice within its size such as 'train[:1000]' or "
            "'train[80%:]'."
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
