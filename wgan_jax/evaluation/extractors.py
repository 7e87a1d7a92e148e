"""Feature extractors that can be named in a config.

To add one, write a function of the example shape that returns a
``FeatureExtractor`` and add it to ``EXTRACTORS`` at the end of this file. Its
keyword arguments are the fields of ``config.evaluation.features``.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import ArrayLike

from wgan_jax.io.files import expanded
from wgan_jax.io.images import are_images
from wgan_jax.metrics import (
    FeatureExtractor,
    FunctionFeatures,
    InceptionFeatures,
    Lite0Features,
    inception_weights,
)
from wgan_jax.ranges import checked


@checked
def lite0(
    shape: tuple[int, ...],
    *,
    path: str | None = None,
    input_size: Annotated[int, Ge(32)] = 96,
) -> FeatureExtractor:
    """Returns EfficientNet-Lite0 with the weights of the extra ``eval``.

    Args:
        shape: shape of one example.
        path: path of the weights file; by default that of the installed
            package.
        input_size: side to which images are resized, >= 32.

    Returns:
        The extractor.

    Raises:
        ValueError: if the examples are not images, or the weights are
            unavailable.
    """
    _check_images("lite0", shape)
    try:
        return Lite0Features(path and expanded(path), input_size=input_size)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise ValueError(str(error)) from error


@checked
def inception(
    shape: tuple[int, ...],
    *,
    path: str | None = None,
    tap: Literal[64, 192, 768, 2048] = 2048,
    resize: Literal["bilinear", "none"] = "bilinear",
) -> FeatureExtractor:
    """Returns FID's Inception, whose weights are downloaded once by default.

    Args:
        shape: shape of one example.
        path: path of the weights file.
        tap: layer with 64, 192, 768 or 2048 features.
        resize: ``bilinear``, or ``none`` for images with sides of at least 75.

    Returns:
        The extractor.

    Raises:
        ValueError: if the examples are not images, an option is invalid, or the
            weights are unavailable.
    """
    _check_images("inception", shape)
    try:
        weights = inception_weights(path and expanded(path))
    except OSError as error:
        raise ValueError(str(error)) from error
    return InceptionFeatures(weights, tap=tap, resize=resize)


def pixels(shape: tuple[int, ...]) -> FeatureExtractor:
    """Returns the identity extractor, for small images and for values.

    Args:
        shape: shape of one example.

    Returns:
        The extractor. Its features are the flattened gray levels in [-1, 1], or
        the flattened values of points, tables, series and volumes.
    """
    is_image = len(shape) == 3
    return FunctionFeatures(
        _in_a_row,
        name="pixels" if is_image else "coordinates",
        weights="none",
        size=int(np.prod(shape)),
        quantisation="uint8" if is_image else "none",
    )


def _in_a_row(examples: ArrayLike) -> Any:
    array = np.asarray(examples)
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / np.float32(127.5) - 1
    return array.reshape(len(array), -1)


def _check_images(name: str, shape: tuple[int, ...]) -> None:
    if not are_images(shape):
        raise ValueError(
            f"{name} needs images with 1, 3 or 4 channels, but an example has the "
            f"shape {shape}. Use pixels."
        )


EXTRACTORS: dict[str, Callable[..., FeatureExtractor]] = {
    "lite0": lite0,
    "inception": inception,
    "pixels": pixels,
}
