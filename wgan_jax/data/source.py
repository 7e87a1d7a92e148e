"""A dataset, in memory or in files."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from wgan_jax.data.records import StoredImages, Summary

MOST_CLASSES = 2**16  # more labels of a file are taken for numbers that are no classes


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Examples in a fixed order.

    Attributes:
        name: name of the dataset, as passed to ``load_source``.
        split: split of the dataset, as passed to ``load_source``.
        images: uint8 images ``[n, H, W, C]``, or float32 of any other number of
            axes, at least 2: points and tables ``[n, D]``, series ``[n, T, C]``,
            volumes ``[n, X, Y, Z, C]``. An array, or images in files that are
            indexed like one.
        labels: int32 ``[n]`` in [0, num_classes), or None.
        num_classes: number of classes, or None without labels.
        provenance: origin of the examples, as JSON values.
        modes: centers ``[components, D]`` and standard deviation of the mixture
            of Gaussians that the points are drawn from, or None.
        ids: int64 ``[n]``, a number for each example that is unique among all
            splits of the dataset, or None if unknown.
    """

    name: str
    split: str
    images: np.ndarray | StoredImages
    labels: np.ndarray | None = None
    num_classes: int | None = None
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    modes: tuple[np.ndarray, float] | None = None
    ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        dtype, axes = self.images.dtype, self.images.ndim
        are_images = dtype == np.uint8 and axes == 4
        # Code that draws or converts images recognizes them by their four axes.
        are_values = dtype == np.float32 and axes >= 2 and axes != 4
        if not (are_images or are_values):
            raise ValueError(
                f"the images of source {self.name!r} are {self.images.dtype} "
                f"{list(self.images.shape)}; they must be uint8 [n, H, W, C], or "
                "float32 [n, D], [n, T, C] or [n, X, Y, Z, C]."
            )
        if self.labels is not None and (
            self.labels.dtype != np.int32 or self.labels.shape != (len(self),)
        ):
            raise ValueError(
                f"the labels of source {self.name!r} are {self.labels.dtype} "
                f"{list(self.labels.shape)}; they must be int32 [{len(self)}]."
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def example_shape(self) -> tuple[int, ...]:
        """Shape of one example: ``(H, W, C)`` for images, or another for values."""
        return self.images.shape[1:]

    def record(self) -> dict[str, Any]:
        """Returns a description of the data for the records of a run, as JSON values.

        The hash covers values and order. Two runs with the same hash and seed
        have therefore used the same batches.
        """
        images = self.images
        if isinstance(images, StoredImages):
            pixels = images.summary()
        else:
            pixels = _summary(images)
        if self.labels is not None:
            pixels.sha256.update(np.ascontiguousarray(self.labels).data)
        return {
            "name": self.name,
            "split": self.split,
            "count": len(self),
            "example_shape": list(self.example_shape),
            "dtype": str(self.images.dtype),
            "num_classes": self.num_classes,
            "minimum": pixels.minimum,
            "maximum": pixels.maximum,
            "mean": pixels.mean,
            "sha256": pixels.sha256.hexdigest(),
            **self.provenance,
        }


def _summary(images: np.ndarray) -> Summary:
    return Summary(
        minimum=float(images.min()),
        maximum=float(images.max()),
        mean=float(images.mean(dtype=np.float64)),
        sha256=hashlib.sha256(np.ascontiguousarray(images).data),
    )
