"""Reads image datasets of TensorFlow Datasets as arrays, without TensorFlow."""

import dataclasses
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import tensorflow_datasets as tfds

from wgan_jax.data.decoded import remember
from wgan_jax.data.prepare import BUILDERS, check_reachable, prepare
from wgan_jax.data.splits import stored_rows
from wgan_jax.data.tfds_records import pixels, read_examples
from wgan_jax.errors import DataError
from wgan_jax.io.files import expanded

# Version of the decoded cache. Increment it when ``_decode`` or ``pixels`` changes.
_DECODER = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """A decoded split.

    Attributes:
        images: uint8 ``[n, H, W, C]``, in file order.
        labels: int32 ``[n]``, or None.
        num_classes: number of classes, or None without labels.
        version: version of the dataset.
        file_format: format of the files.
        ids: int64 ``[n]``, positions among the examples of all splits.
    """

    images: np.ndarray
    labels: np.ndarray | None
    num_classes: int | None
    version: str
    file_format: str
    ids: np.ndarray


def read_tfds(
    name: str, *, split: str, data_dir: str | None, resize: int | None = None
) -> Records:
    """Reads a split, preparing the dataset first if necessary.

    Images are kept decoded, one byte per value. Each image is resized when it
    is decoded, so only one size is kept in memory: the 50,000 images of
    CIFAR-10 take 154 MB in their original size and 614 MB at 64 pixels.

    Args:
        name: name in tfds, with optional config and version
            (``emnist/letters``).
        split: a split or a part of one, in the syntax of ``resolve_split``.
        data_dir: folder of prepared datasets; None for TFDS_DATA_DIR in the
            environment, or else tfds' default.
        resize: side to which the images are resized, 1 or above, with Pillow's
            bilinear filter (which averages when downscaling); None for no
            resizing.

    Returns:
        The decoded examples.

    Raises:
        ValueError: if the name or split is unknown, or the images of the
            dataset have different sizes.
        DataError: if the dataset is damaged, or missing and cannot be
            downloaded.
    """
    builder = open_prepared(name, data_dir)
    ids = stored_rows(split, split_sizes(builder))
    features = image_features(name, builder)
    try:
        images, labels = _decoded(builder, split, features, resize)
    except (DataError, MemoryError):
        raise
    # The readers raise exceptions of any type for a damaged file.
    except Exception as error:
        raise damaged_error(name, builder, error) from error
    return Records(
        images=images,
        labels=labels,
        num_classes=features["label"].num_classes if "label" in features else None,
        version=str(builder.version),
        file_format=builder.info.file_format.value,
        ids=ids,
    )


def damaged_error(name: str, builder: Any, error: Exception) -> DataError:
    """Returns the error for a prepared dataset that cannot be read."""
    return DataError(
        f"the prepared {name} in {builder.data_dir} is damaged ({_reason(error)}). "
        "Remove that folder to prepare it again, or use another folder with "
        "--config.dataset.data_dir=DIR."
    )


def open_prepared(name: str, data_dir: str | None) -> Any:
    """Returns the builder of a dataset, preparing the dataset first if necessary.

    Args:
        name: name in tfds.
        data_dir: folder of prepared datasets; None for TFDS_DATA_DIR in the
            environment, or else tfds' default.

    Returns:
        The tfds builder.

    Raises:
        ValueError: if there is no such dataset.
        DataError: if it is missing and cannot be downloaded, or damaged.
    """
    data_dir = data_folder(data_dir)
    builder = open_builder(name, data_dir)
    return builder if builder.is_prepared() else _obtain(name, builder, data_dir)


def data_folder(data_dir: str | None) -> str | None:
    """Returns the folder of prepared datasets; None for tfds' default."""
    given = data_dir or os.environ.get("TFDS_DATA_DIR")
    return str(expanded(given)) if given else None


def split_sizes(builder: Any) -> dict[str, int]:
    """Returns the number of examples in each split of a prepared dataset."""
    return {key: info.num_examples for key, info in builder.info.splits.items()}


def open_builder(name: str, data_dir: str | None) -> Any:
    """Returns the builder, which has read the dataset's metadata if present.

    Args:
        name: name in tfds.
        data_dir: folder of prepared datasets; None for tfds' default.

    Returns:
        The tfds builder.

    Raises:
        ValueError: if there is no such dataset.
        DataError: if its metadata cannot be read.
    """
    where = data_dir or tfds.core.constants.DATA_DIR
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(
            f"tfds has no dataset {name!r}, and {where} has no prepared dataset of "
            "that name."
        ) from error
    except Exception as error:
        raise DataError(
            f"tfds cannot open {name!r} in {where} ({_reason(error)}). Correct the "
            "name; if the prepared data is damaged, remove its folder or use another "
            "folder with --config.dataset.data_dir=DIR."
        ) from error


def _obtain(name: str, builder: Any, data_dir: str | None) -> Any:
    """Prepares a missing dataset and returns its builder."""
    if Path(builder.data_dir).exists():
        raise DataError(
            f"{builder.data_dir} has no dataset_info.json, so {name} was not prepared "
            "completely. Remove that folder and start again."
        )
    try:
        if name in BUILDERS:
            prepare(name, data_dir=data_dir)
        else:
            _prepare_with_tensorflow(name, builder)
    except DataError:
        # Another host that shares the folder may have finished first.
        if not open_builder(name, data_dir).is_prepared():
            raise
    return open_builder(name, data_dir)


def _prepare_with_tensorflow(name: str, builder: Any) -> None:
    """Prepares a dataset with the stock builder, which usually needs TensorFlow."""
    if importlib.util.find_spec("tensorflow") is None:
        raise DataError(
            f"{name} is not in {builder.data_dir}, and preparing it needs TensorFlow. "
            "Run pip install 'wgan-jax[prepare]', or use a folder with prepared data "
            "with --config.dataset.data_dir=DIR."
        )
    for url in list(builder.url_infos or ())[:1]:
        check_reachable(name, builder=builder, url=url)
    try:
        builder.download_and_prepare(
            file_format="array_record",
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    except Exception as error:
        raise DataError(
            f"preparing {name} in {builder.data_dir} failed: {_reason(error)}."
        ) from error


def image_features(name: str, builder: Any) -> Any:
    """Returns the image feature, and the label feature if it is a single class.

    Args:
        name: name in tfds.
        builder: builder of that dataset.

    Returns:
        The tfds features ``image`` and, if present, ``label``.

    Raises:
        ValueError: if the dataset does not have 8-bit images of a single size.
    """
    features = dict(builder.info.features)
    image = features.get("image")
    if (
        not isinstance(image, tfds.features.Image)
        or None in image.shape
        or image.np_dtype != np.uint8
    ):
        raise ValueError(
            f"tfds dataset {name!r} has no feature 'image' of 8-bit images of one size "
            f"(its features are {', '.join(features)}; image: {image})."
        )
    chosen = {"image": image}
    if isinstance(features.get("label"), tfds.features.ClassLabel):
        chosen["label"] = features["label"]
    return tfds.features.FeaturesDict(chosen)


def _decoded(
    builder: Any, split: str, features: Any, resize: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns images and labels of a split, decoded once per machine."""

    def decode() -> dict[str, np.ndarray]:
        images, labels = _decode(builder, split, features, resize)
        return {"images": images} | ({} if labels is None else {"labels": labels})

    arrays = remember(
        decode,
        files={part.filename for part in builder.info.splits[split].file_instructions},
        about={
            "split": split,
            "resize": resize,
            "decoder": _DECODER,
            "pillow": PIL.__version__,
            "version": str(builder.version),
            "file_format": builder.info.file_format.value,
        },
    )
    return arrays["images"], arrays.get("labels")


def _decode(
    builder: Any, split: str, features: Any, resize: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Decodes images and labels of a split.

    It uses one thread. For such small images, most of the time is spent in
    Python, and two threads took 1.5 times as long.
    """
    count = builder.info.splits[split].num_examples
    shape = features["image"].shape
    sides = shape[:2] if resize is None else (resize, resize)
    images = np.empty((count, *sides, shape[2]), np.uint8)
    labels = np.empty(count, np.int32)
    row = 0
    for encoded, label in read_examples(builder, split, features):
        images[row] = pixels(encoded, shape, sides)
        labels[row] = label
        row += 1
    if row != count:
        raise ValueError(f"there are {row} examples, but {count} are declared")
    return images, labels if "label" in features else None


def _reason(error: Exception) -> str:
    """Returns the message of a library's exception on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
