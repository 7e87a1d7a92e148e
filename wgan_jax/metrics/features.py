"""Feature extractors, and how images are resized for them.

An extractor is any object with the attributes and the call of
``FeatureExtractor``. ``FunctionFeatures`` wraps a function as an extractor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding
from numpy.typing import ArrayLike

from wgan_jax.io.images import CHANNELS, check_range, on_white, to_uint8
from wgan_jax.types import Array, PyTree

QUANTISATION = "uint8, round((x + 1) * 127.5)"


class Features(NamedTuple):
    """Output of an extractor for one batch.

    Attributes:
        values: ``[B, D]``.
        logits: ``[B, classes]`` before the softmax, for the inception score;
            None if there are no classes.
    """

    values: Array | np.ndarray
    logits: Array | np.ndarray | None = None


class FeatureExtractor(Protocol):
    """Map from images to features, with everything needed to describe a result."""

    @property
    def name(self) -> str:
        """Name of the network and the layer."""

    @property
    def weights(self) -> str:
        """Hash or version of the parameters."""

    @property
    def size(self) -> int:
        """Number D of features."""

    @property
    def classes(self) -> int:
        """Number of classes of the logits; 0 if there are none."""

    @property
    def input_size(self) -> int | None:
        """Side to which images are resized; None if they are not."""

    @property
    def resize(self) -> str:
        """Resizing method; ``none`` if images are not resized."""

    @property
    def quantisation(self) -> str:
        """Conversion of images in [-1, 1] before anything else."""

    def __call__(self, images: ArrayLike, /) -> Features:
        """Computes features of uint8 or floating-point images ``[B, H, W, C]``."""
        ...


@dataclass(frozen=True)
class FunctionFeatures:
    """Extractor that wraps a function.

    Attributes:
        function: maps examples ``[B, ...]`` to features ``[B, D]``. It receives
            the input unchanged, so floating-point images are not quantized.
        name: name, for the protocol.
        weights: version or hash, for the protocol.
        size: number D of features.
        classes: 0, because there are no logits.
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
        """Computes features ``[B, D]``, without logits."""
        return Features(self.function(images))


class NetworkFeatures:
    """Base class of extractors that apply a fixed network to gray levels.

    A subclass sets ``_params`` and ``_apply``, a compiled function of the parameters
    and of levels ``[B, H, W, 3]`` in [0, 255].
    """

    _params: PyTree
    _apply: Callable[[PyTree, Array | np.ndarray], Features]

    def __call__(self, images: ArrayLike) -> Features:
        """Computes the features of images, and the logits where there are some."""
        return self._apply(self._params, rgb_levels(images))

    def from_levels(self, levels: Array) -> Features:
        """Computes features of floating-point levels in [0, 255], without rounding.

        Args:
            levels: ``[B, H, W, 3]``.

        Returns:
            Features and logits, differentiable with respect to the levels.
        """
        return self._apply(self._params, levels)


def rgb_levels(images: ArrayLike) -> Array | np.ndarray:
    """Converts images to three channels of gray levels.

    RGBA images are put on white, because the networks take opaque ones.

    Floating-point images are converted with a fixed map and not by the minimum
    and maximum of their batch, so the features of an image depend only on that
    image.

    Args:
        images: ``[B, H, W, 1, 3 or 4]``, either uint8, which stay on their device,
            or floating-point in [-1, 1].

    Returns:
        uint8 ``[B, H, W, 3]``.

    Raises:
        ValueError: if the shape or dtype is not supported, or a value is NaN.
    """
    array = images if isinstance(images, jax.Array) else np.asarray(images)
    floating = jnp.issubdtype(array.dtype, jnp.floating)
    if array.ndim != 4 or array.shape[3] not in CHANNELS:
        raise ValueError(
            f"images are {list(array.shape)}; they must be [B, H, W, 1, 3 or 4]."
        )
    if not floating and array.dtype != np.uint8:
        raise ValueError(
            f"images are {array.dtype}; they must be uint8, or floating point in [-1, "
            "1]."
        )
    if floating:
        array = to_uint8(np.asarray(array))
    if array.shape[3] == 4:
        return on_white(array)
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
    """Computes features of all images in batches.

    Args:
        extractor: feature extractor.
        images: ``[n, ...]``, n at least 1. For the networks of the package, they
            are uint8, or in [-1, 1]. The last batch is padded with its last image,
            so that only one batch size is compiled, and the result is truncated.
        batch_size: images per batch.
        sharding: sharding of the batches over devices, whose number must divide
            the batch size; None for no sharding.
        advance: called after each batch with its number of images.

    Returns:
        numpy ``[n, D]``, and ``[n, classes]`` if there are classes.

    Raises:
        ValueError: if there are no images, the batch size is below 1, or images are
            in another range, such as [0, 1].
    """
    count = len(images)
    if count < 1 or batch_size < 1:
        raise ValueError(
            f"there are {count} images and batch_size is {batch_size}; both must be at "
            "least 1."
        )
    floating = jnp.issubdtype(images.dtype, jnp.floating)
    # Extractors of one's own get what they were made for, of any range.
    if isinstance(extractor, NetworkFeatures) and floating and images.ndim == 4:
        check_range(images)
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
