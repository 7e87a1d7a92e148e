"""Examples that two splits of a dataset have in common."""

import numpy as np

from wgan_jax.data.records import StoredImages
from wgan_jax.data.source import Source
from wgan_jax.data.splits import short_hash

_COPIES = 0.01  # of a held-out set: many datasets have a few examples twice


def check_held_out(train: Source, held_out: Source) -> None:
    """Raises ValueError if a held-out set has examples of the training set.

    Args:
        train: dataset that the networks are trained on.
        held_out: another split of the dataset.

    Raises:
        ValueError: if they have examples in common. Where the examples of a
            source have no ids, they are compared by their values, and copies of
            up to 1 in 100 examples are accepted.
    """
    if train.ids is not None and held_out.ids is not None:
        shared, limit = int(np.isin(held_out.ids, train.ids).sum()), 0.0
    else:
        known = set(_hashes(train))
        shared = sum(value in known for value in _hashes(held_out))
        limit = _COPIES * len(held_out)
    if shared > limit:
        raise ValueError(
            f"the held-out split {held_out.split!r} has {len(held_out):,} examples, "
            f"and {shared:,} of them are in the training split {train.split!r}. Use "
            "splits without common examples."
        )


def _hashes(source: Source) -> list[int]:
    """Returns a hash of the values of each example."""
    if isinstance(source.images, StoredImages):
        return [int(value) for value in source.images.index.pixels]
    return [short_hash(np.ascontiguousarray(x).tobytes()) for x in source.images]
