"""Feature extractors, and how images are resized for them.

An extractor is anything with the attributes and the call of ``FeatureExtractor``;
``FunctionFeatures`` makes one of any function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding
from numpy.typing import ArrayLike

from wgan_jax.io.images import to_uint8
from wgan_jax.types import Array

QUANTISATION = "uint8, round((x + 1) * 127.5)"


class Features(NamedTuple):
    """What an extractor says of a batch.

    Attributes:
        values: ``[B, D]``.
        logits: ``[B, classes]`` before the softmax, for the inception score;
            None if it knows no classes.
    """

    values: Array | np.ndarray
    logits: Array | np.ndarray | None = None


class FeatureExtractor(Protocol):
    """Images to features, with all that a record of a number must name."""

    @property
    def name(self) -> str:
        """Of the network and the layer."""

    @property
    def weights(self) -> str:
        """Hash or version of its parameters."""

    @property
    def size(self) -> int:
        """D, numbers of one feature vector."""

    @property
    def classes(self) -> int:
        """Classes of its logits; 0 if it has none."""

    @property
    def input_size(self) -> int | None:
        """Side that images are resized to; None if they are not."""

    @property
    def resize(self) -> str:
        """How they are resized; ``none`` if they are not."""

    @property
    def quantisation(self) -> str:
        """What happens to images in [-1, 1] first."""

    def __call__(self, images: ArrayLike, /) -> Features:
        """Features of uint8 or floating images ``[B, H, W, C]``."""
        ...


@dataclass(frozen=True)
class FunctionFeatures:
    """An extractor made of a function.

    Attributes:
        function: examples ``[B, ...]`` to features ``[B, D]``; given what the
            extractor was given, so floating images are not quantised.
        name: for the record.
        weights: version or hash, for the record.
        size: D.
        classes: 0: it has no logits.
    """

    function: Callable[[ArrayLike], Array]
    name: str
    weights: str
    size: int
    classes: int = 0
    input_size: int | None = None
    resize: str = "none"
    quantisation: str = "none"

    def __call__(self, images: ArrayLike) -> Features:
        """Features ``[B, D]``, without logits."""
        return Features(self.function(images))


def rgb_levels(images: ArrayLike) -> Array | np.ndarray:
    """Grey levels of three channels, from images of any kind that we have.

    Floating images pass through one fixed map, never through the minimum and
    maximum of their batch: an image's features depend on that image alone.

    Args:
        images: ``[B, H, W, 1 or 3]``: uint8, which stay on their device, or
            floating in [-1, 1].

    Returns:
        uint8 ``[B, H, W, 3]``.

    Raises:
        ValueError: if the images are of another kind, or hold a NaN.
    """
    array = images if isinstance(images, jax.Array) else np.asarray(images)
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    if array.ndim != 4 or array.shape[3] not in (1, 3):
        raise ValueError(f"images are [B, H, W, 1 or 3], not {list(array.shape)}.")
    if not floating and array.dtype != np.uint8:
        raise ValueError(
            f"images of {array.dtype} were given; they are uint8, or floating in "
            "[-1, 1]."
        )
    if floating:
        array = to_uint8(np.asarray(array))
    if array.shape[3] == 3:
        return array
    stack = jnp.concatenate if isinstance(array, jax.Array) else np.concatenate
    return stack([array] * 3, axis=3)


def extract_features(
    extractor: FeatureExtractor,
    images: Array | np.ndarray,
    *,
    batch_size: int,
    sharding: Sharding | None = None,
    advance: Callable[[int], object] | None = None,
) -> Features:
    """Features of all images, batch by batch.

    Args:
        extractor: of features.
        images: ``[n, ...]``, n at least 1 and not necessarily a multiple of the
            batch size: the last batch is filled up with its last image, so that
            one size is compiled, and cut again.
        batch_size: images at a time.
        sharding: of the batches, to share them among devices; their number
            divides the batch size.
        advance: told after each batch how many images it had.

    Returns:
        numpy ``[n, D]``, and ``[n, classes]`` if there are any.

    Raises:
        ValueError: if there are no images or the batch size is below 1.
    """
    count = len(images)
    if count < 1 or batch_size < 1:
        raise ValueError(
            f"{count} images in batches of {batch_size} were given; both are >= 1."
        )
    values: list[np.ndarray] = []
    logits: list[np.ndarray] = []
    for start in range(0, count, batch_size):
        rows = np.minimum(np.arange(start, start + batch_size), count - 1)
        batch = images[rows]
        found = extractor(
            batch if sharding is None else jax.device_put(batch, sharding)
        )
        own = slice(min(batch_size, count - start))
        values.append(np.asarray(found.values)[own])
        if found.logits is not None:
            logits.append(np.asarray(found.logits)[own])
        if advance is not None:
            advance(len(values[-1]))
    return Features(np.concatenate(values), np.concatenate(logits) if logits else None)
