"""Checks of the batches that are passed to training steps."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.gan import Gan, GanState
from wgan_jax.io.images import check_range
from wgan_jax.training.arguments import check_arguments
from wgan_jax.training.init import abstract_images
from wgan_jax.types import Array, Batch

_LEADS = {1: "B", 2: "N, B", 3: "K, N, B"}


def check_batch(gan: Gan, state: GanState, batch: Batch | Array, *, axes: int) -> None:
    """Raises ValueError if a batch does not fit the networks.

    A compiled step checks shapes and dtypes when it is traced. Labels that are not
    traced are compared with the classes, too.

    Args:
        gan: static definition of the GAN.
        state: training state.
        batch: the argument of a step.
        axes: number of axes before those of an example: 1 for ``[B, ...]``, 2
            for ``[N, B, ...]``, 3 for ``[K, N, B, ...]``.

    Raises:
        ValueError: naming what is wrong and what would be right.
    """
    if isinstance(batch, Mapping) and "image" not in batch:
        raise ValueError(
            f"the batch has the keys {', '.join(map(repr, batch)) or 'none'}; the "
            "examples must be under 'image'."
        )
    images = batch["image"] if isinstance(batch, Mapping) else batch
    if not (hasattr(images, "dtype") and hasattr(images, "shape")):
        raise ValueError(
            f"the batch is {type(images).__name__}; it must be an array of examples, "
            "or a dict with 'image' and 'label'."
        )
    _check_images(gan, state, images, axes)
    if gan.conditional is not None and isinstance(batch, Mapping) and "label" in batch:
        check_labels(gan, batch["label"], images.shape[:axes])


def check_labels(gan: Gan, labels: Any, shape: tuple[int, ...]) -> None:
    """Raises ValueError if labels do not have a shape and a dtype, or are no classes.

    Args:
        gan: static definition of a conditional GAN.
        labels: an array; its values are checked unless it is traced.
        shape: the shape that it must have.

    Raises:
        ValueError: naming what is wrong and what would be right.
    """
    if not (hasattr(labels, "dtype") and hasattr(labels, "shape")):
        labels = np.asarray(labels)
    if tuple(labels.shape) != tuple(shape):
        raise ValueError(
            f"the labels have the shape {list(labels.shape)}; it must be "
            f"{list(shape)}, one for each example."
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"the labels are {labels.dtype}; they must be int32.")
    if not isinstance(labels, jax.core.Tracer):
        _check_classes(gan, _local(labels))


def _check_classes(gan: Gan, labels: np.ndarray) -> None:
    classes = gan.conditional.classes if gan.conditional else 0
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"the labels are in {labels.min()} to {labels.max()}; they must be in 0 to "
            f"{classes - 1}."
        )


def _check_images(gan: Gan, state: GanState, images: Any, axes: int) -> None:
    example = tuple(abstract_images(gan, state).shape[1:])
    wanted = f"[{_LEADS[axes]}, {', '.join(map(str, example))}]"
    shape = tuple(images.shape)
    if images.dtype != jnp.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"the examples are {images.dtype}; they must be uint8 in 0 to 255, or "
            "floating-point in [-1, 1]."
        )
    if len(shape) == len(example) + axes and shape[axes:] == example:
        if 0 in shape:
            raise ValueError(f"the batch has the shape {list(shape)} and no examples.")
        return
    hint = ""
    if shape[axes - 1 :] == example and axes > 1:
        hint = " The first axis, of critic updates, is missing."
    elif len(example) == 3 and shape[-3:] == (example[2], *example[:2]):
        hint = " Move the channels to the end."
    raise ValueError(
        f"the examples have the shape {list(shape)}; it must be {wanted}, as the "
        f"generator's images are.{hint}"
    )


def check_values(batch: Batch | Array, *, axes: int) -> None:
    """Raises ValueError if the values of examples are out of range.

    Args:
        batch: the argument of a step, on the host or a device.
        axes: as for ``check_batch``.

    Raises:
        ValueError: if examples are not finite, or images are not in [-1, 1] or seem
            to be in [0, 1].
    """
    images = _local(batch["image"] if isinstance(batch, Mapping) else batch)
    if images.dtype != np.uint8:
        least, most = float(images.min()), float(images.max())
        if not (np.isfinite(least) and np.isfinite(most)):
            raise ValueError("the examples have values that are not finite.")
        # Points may be anywhere; images are compared with the range of tanh.
        if images.ndim - axes == 3:
            _check_range(images)


def _check_range(images: np.ndarray) -> None:
    try:
        check_range(images)
    except ValueError as error:
        raise ValueError(
            f"{error} If the generator has the same range, set check_values=False."
        ) from None


def _local(array: Any) -> np.ndarray:
    """Returns the part of an array that this process holds."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return np.asarray(array.addressable_shards[0].data)
    return np.asarray(array)


class CheckedStep:
    """A compiled step that checks the values of its first batch, and all labels.

    Labels on a device are those of the first batch only, as the others would have
    to be waited for.
    """

    def __init__(self, step: Callable[..., Any], gan: Gan, *, axes: int) -> None:
        """Stores ``step(state, batch, key)``; axes as for ``check_batch``."""
        self._step, self._gan, self._axes = step, gan, axes
        self._is_checked = False

    def __call__(self, state: GanState, batch: Any, key: Any) -> Any:
        """Calls the step."""
        check_arguments(self._gan, state, key)
        if not self._is_checked:
            check_batch(self._gan, state, batch, axes=self._axes)
            check_values(batch, axes=self._axes)
            self._is_checked = True
        elif self._gan.conditional is not None and isinstance(batch, Mapping):
            labels = batch.get("label")
            if isinstance(labels, np.ndarray):
                check_labels(self._gan, labels, labels.shape)
        return self._step(state, batch, key)

    def __getattr__(self, name: str) -> Any:
        """Returns an attribute of the jitted step, such as ``lower``."""
        return getattr(self._step, name)
