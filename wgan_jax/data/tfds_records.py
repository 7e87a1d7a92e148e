"""Reads the records of prepared tfds datasets, without TensorFlow."""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from wgan_jax.errors import DataError

# The filter of torchvision's Scale for CIFAR-10 in the code of arXiv:1701.07875.
RESIZE_FILTER = Image.Resampling.BILINEAR
# Limits the number of encoded records in memory.
_CHUNK = 4096
# Pillow's mode of 8-bit images by number of channels.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read_examples(
    builder: Any, split: str, features: Any, *, start: int = 0
) -> Iterator[tuple[bytes, int]]:
    """Yields the encoded images and the labels of a split in file order.

    Args:
        builder: builder of a prepared dataset.
        split: name of a split, or a part of one in tfds' syntax.
        features: result of ``image_features``.
        start: number of examples to leave out at the beginning; only for whole
            splits.

    Yields:
        A PNG or JPEG file, and its label; 0 without labels.

    Raises:
        DataError: if the files have a format that only TensorFlow reads.
        Exception: of any type, if a file is damaged.
    """
    # Decoded elsewhere with Pillow. tfds uses OpenCV if it is installed, so the same
    # JPEG would give different pixels on different machines.
    skip = {"image": tfds.decode.SkipDecoding()}
    part = f"{split}[{start}:]" if start else split
    for record in _raw_records(builder, part):
        example = features.deserialize_example_np(record, decoders=skip)
        yield example["image"], int(example.get("label", 0))


def pixels(
    encoded: bytes, shape: tuple[int, int, int], sides: tuple[int, int]
) -> np.ndarray:
    """Decodes a PNG or JPEG file.

    Args:
        encoded: content of the file.
        shape: ``(H, W, C)`` that the image must have.
        sides: height and width of the result; it is resized with
            ``RESIZE_FILTER`` if necessary.

    Returns:
        uint8 ``[*sides, C]``.

    Raises:
        ValueError: if the image has another shape.
        OSError: if it is damaged.
    """
    height, width, channels = shape
    # Naming two formats and using bytes instead of the array interface is 1.5 times as
    # fast for such small images.
    picture = Image.open(io.BytesIO(encoded), formats=("PNG", "JPEG"))
    if picture.size != (width, height) or picture.mode != _MODES.get(channels):
        raise ValueError(
            f"an image is {picture.height} x {picture.width} in mode {picture.mode}, "
            f"but {list(shape)} is declared"
        )
    if sides != (height, width):
        levels = picture.resize(sides[::-1], RESIZE_FILTER).tobytes()
    else:
        levels = picture.tobytes()
    return np.frombuffer(levels, np.uint8).reshape(*sides, channels)


def _raw_records(builder: Any, split: str) -> Iterator[bytes]:
    """Yields the serialized examples of a split in file order."""
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
            f"{builder.data_dir} is stored as {file_format}, which only TensorFlow can "
            "read. Prepare it with file_format='array_record'."
        )


def _tfrecords(path: str, skip: int, take: int) -> Iterator[bytes]:
    """Yields records skip to skip + take - 1 of a TFRecord file.

    A record consists of its length (8 bytes, little-endian), a checksum of the
    length (4), the content, and a checksum of the content (4). The checksums
    are CRC-32C, which Python's standard library does not provide, so they are
    not verified. A damaged PNG or JPEG fails to decode.
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
