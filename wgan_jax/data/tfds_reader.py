"""Image datasets of TensorFlow Datasets as arrays, without TensorFlow."""

import dataclasses
import importlib.util
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import tensorflow_datasets as tfds
from PIL import Image

from wgan_jax.data.decoded import remember
from wgan_jax.data.prepare import BUILDERS, check_reachable, prepare
from wgan_jax.data.splits import resolve_split
from wgan_jax.errors import DataError

# Of what is kept decoded: to be raised with a change of ``_decode`` or ``_pixels``.
_DECODER = 1
# Bounds the encoded records held at a time; the arrays are held whole anyway.
_CHUNK = 4096
# Pillow's name for 8-bit pictures of so many channels.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# What torchvision's Scale did to CIFAR-10 in the code of arXiv:1701.07875.
RESIZE_FILTER = Image.Resampling.BILINEAR


@dataclasses.dataclass(frozen=True, eq=False)
class Records:
    """A decoded split.

    Attributes:
      images: uint8 ``[n, H, W, C]``, in the order of the files.
      labels: int32 ``[n]``, or None.
      num_classes: number of different labels, or None without labels.
      version: of the dataset.
      file_format: that it was read from.
    """

    images: np.ndarray
    labels: np.ndarray | None
    num_classes: int | None
    version: str
    file_format: str


def read_tfds(
    name: str, *, split: str, data_dir: str | None, resize: int | None = None
) -> Records:
    """Reads a split, after preparing the dataset where it is absent.

    The pictures are held decoded, one byte for each value. Each is resized as it
    is decoded, so nothing is held at both sizes: CIFAR-10's 50,000 take 154 MB as
    they are and 614 MB at 64 pixels.

    Args:
      name: as tfds has it, config and version included (``emnist/letters``).
      split: a split or part of one, as ``resolve_split`` reads it.
      data_dir: folder of prepared datasets; None is the environment's
        TFDS_DATA_DIR, else tfds' default.
      resize: both sides of the pictures afterwards, 1 or above, by Pillow's
        bilinear filter (which averages where it makes smaller); None leaves them.

    Returns:
      The decoded examples.

    Raises:
      ValueError: unknown name or split, or not a dataset of images of one size.
      DataError: the dataset is absent and cannot be had, or is damaged.
    """
    data_dir = data_dir or os.environ.get("TFDS_DATA_DIR")
    builder = open_builder(name, data_dir)
    if not builder.is_prepared():
        builder = _obtain(name, builder, data_dir)
    sizes = {key: info.num_examples for key, info in builder.info.splits.items()}
    resolve_split(split, sizes)
    features = image_features(name, builder)
    try:
        images, labels = _decoded(builder, split, features, resize)
    except (DataError, MemoryError):
        raise
    # Whatever the readers raise on a damaged file, and it is of every kind.
    except Exception as error:
        raise DataError(
            f"the prepared {name} in {builder.data_dir} is damaged "
            f"({_reason(error)}): remove that folder to have it prepared anew, or "
            "give another with --config.dataset.data_dir=DIR."
        ) from error
    return Records(
        images=images,
        labels=labels,
        num_classes=features["label"].num_classes if "label" in features else None,
        version=str(builder.version),
        file_format=builder.info.file_format.value,
    )


def open_builder(name: str, data_dir: str | None) -> Any:
    """The builder, which has read the dataset's own description if it is there.

    Args:
      name: as tfds has it.
      data_dir: folder of prepared datasets; None is tfds' default.

    Returns:
      tfds' builder.

    Raises:
      ValueError: no such dataset.
      DataError: its description cannot be read.
    """
    where = data_dir or tfds.core.constants.DATA_DIR
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(
            f"tfds knows no dataset {name!r}, and {where} holds none of that name."
        ) from error
    except Exception as error:
        raise DataError(
            f"tfds cannot open {name!r} in {where} ({_reason(error)}): correct the "
            "name, or, if the data prepared there is damaged, remove its folder or "
            "give another with --config.dataset.data_dir=DIR."
        ) from error


def _obtain(name: str, builder: Any, data_dir: str | None) -> Any:
    """Prepares an absent dataset and returns its builder."""
    if Path(builder.data_dir).exists():
        raise DataError(
            f"{builder.data_dir} has no dataset_info.json, so the {name} in it was "
            "not prepared to its end: remove that folder and start again."
        )
    try:
        if name in BUILDERS:
            prepare(name, data_dir=data_dir)
        else:
            _prepare_with_tensorflow(name, builder)
    except DataError:
        # Of several hosts that share the folder, one is first to finish.
        if not open_builder(name, data_dir).is_prepared():
            raise
    return open_builder(name, data_dir)


def _prepare_with_tensorflow(name: str, builder: Any) -> None:
    """Lets the stock builder prepare, which as a rule needs TensorFlow."""
    if importlib.util.find_spec("tensorflow") is None:
        raise DataError(
            f"{name} is not in {builder.data_dir}, and preparing it needs TensorFlow: "
            "pip install 'wgan-jax[prepare]', or give a folder that has it with "
            "--config.dataset.data_dir=DIR."
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
    """The image feature, and the label's where it is one class.

    Args:
      name: as tfds has it.
      builder: of that dataset.

    Returns:
      tfds' features ``image`` and perhaps ``label``.

    Raises:
      ValueError: not a dataset of 8-bit images of one size.
    """
    features = dict(builder.info.features)
    image = features.get("image")
    if (
        not isinstance(image, tfds.features.Image)
        or None in image.shape
        or image.np_dtype != np.uint8
    ):
        raise ValueError(
            f"tfds dataset {name!r} has no feature 'image' of 8-bit pictures of one "
            f"size (its features are {', '.join(features)}; image: {image})."
        )
    chosen = {"image": image}
    if isinstance(features.get("label"), tfds.features.ClassLabel):
        chosen["label"] = features["label"]
    return tfds.features.FeaturesDict(chosen)


def _decoded(
    builder: Any, split: str, features: Any, resize: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Images and labels of a split, decoded once on this machine."""

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
    """Images and labels of a split.

    One thread: pictures this small spend their time in Python, and two threads
    took half as long again.
    """
    count = builder.info.splits[split].num_examples
    shape = features["image"].shape
    sides = shape[:2] if resize is None else (resize, resize)
    images = np.empty((count, *sides, shape[2]), np.uint8)
    labels = np.empty(count, np.int32)
    # Decoded here by Pillow: tfds decodes with OpenCV where that is installed,
    # and two machines would see different pixels of the same JPEG.
    skip = {"image": tfds.decode.SkipDecoding()}
    row = 0
    for record in _raw_records(builder, split):
        example = features.deserialize_example_np(record, decoders=skip)
        images[row] = _pixels(example["image"], shape, sides)
        labels[row] = example.get("label", 0)
        row += 1
    if row != count:
        raise ValueError(f"{row} examples where {count} are declared")
    return images, labels if "label" in features else None


def _pixels(
    encoded: bytes, shape: tuple[int, int, int], sides: tuple[int, int]
) -> np.ndarray:
    """The picture in a PNG or JPEG file of ``shape``, uint8 ``[*sides, C]``."""
    height, width, channels = shape
    # Two formats named, and bytes rather than the array interface: 1.5 times as
    # fast on pictures this small.
    picture = Image.open(io.BytesIO(encoded), formats=("PNG", "JPEG"))
    if picture.size != (width, height) or picture.mode != _MODES.get(channels):
        raise ValueError(
            f"a picture of {picture.height} x {picture.width}, mode {picture.mode}, "
            f"where {list(shape)} is declared"
        )
    if sides != (height, width):
        pixels = picture.resize(sides[::-1], RESIZE_FILTER).tobytes()
    else:
        pixels = picture.tobytes()
    return np.frombuffer(pixels, np.uint8).reshape(*sides, channels)


def _raw_records(builder: Any, split: str) -> Iterator[bytes]:
    """The serialised examples of a split in the order of the files."""
    file_format = builder.info.file_format.value
    if file_format == "array_record":
        method = tfds.decode.DeserializeMethod.RAW_BYTES
        source = builder.as_data_source(split, deserialize_method=method)
        for start in range(0, len(source), _CHUNK):
            stop = min(start + _CHUNK, len(source))
            yield from source.__getitems__(list(range(start, stop)))
    elif file_format == "tfrecord":
        for part in builder.info.splits[split].file_instructions:
            yield from _tfrecords(part.filename, part.skip, part.take)
    else:
        raise DataError(
            f"{builder.data_dir} is stored as {file_format}, which is read with "
            "TensorFlow only: prepare it with file_format='array_record'."
        )


def _tfrecords(path: str, skip: int, take: int) -> Iterator[bytes]:
    """Records skip to skip + take - 1 of a TFRecord file.

    A record is its length (8 bytes, little-endian), a checksum of that (4), the
    content, and a checksum of the content (4). The checksums are CRC-32C, which
    Python has not; a PNG or JPEG that is damaged fails to decode instead.
    """
    with open(path, "rb") as file:
        for index in range(skip + take):
            head = file.read(12)
            if len(head) < 12:
                raise EOFError(f"{path} ends after {index} records")
            (length,) = struct.unpack("<Q", head[:8])
            content = file.read(length + 4)[:-4]
            if len(content) < length:
                raise EOFError(f"{path} ends within record {index}")
            if index >= skip:
                yield content


def _reason(error: Exception) -> str:
    """An error of a library on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
