"""Checks of the values of a training set."""

import numpy as np

from wgan_jax.data.records import StoredImages
from wgan_jax.data.source import Source
from wgan_jax.errors import DataError


def check_training_set(source: Source, *, labels: bool) -> None:
    """Raises DataError if there is nothing to learn from a training set.

    Args:
        source: the training set.
        labels: whether the GAN is conditional on its labels.

    Raises:
        DataError: if all examples are equal, or all have the same label.
    """
    count, where = len(source), f"{source.name!r} split {source.split!r}"
    if not count:
        return
    if _all_equal(source.images):
        found = f"{count:,} examples that are all equal" if count > 1 else "one example"
        raise DataError(f"{where} has {found}; training needs different ones.")
    if not labels or source.labels is None:
        return
    label = int(source.labels[0])
    if np.all(source.labels == label):
        names = source.provenance.get("class_names")
        name = f"{label} ({names[label]})" if names else f"{label}"
        raise DataError(
            f"{where} has {count:,} examples that all have the label {name}; training "
            "by class needs at least two. Use --config.dataset.labels=False."
        )


def _all_equal(images: np.ndarray | StoredImages) -> bool:
    if isinstance(images, StoredImages):
        hashes = images.index.pixels
        return bool(np.all(hashes == hashes[0]))
    # This ends at the first that differs, which is the second one in most sets.
    return all(np.array_equal(image, images[0]) for image in images[1:])
