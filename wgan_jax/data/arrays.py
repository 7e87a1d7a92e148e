"""Datasets from arrays: ``.npy`` and ``.npz`` files, and any Python object.

Uint8 arrays, and floating-point ones with the values of black and white, are
images. Other floating-point arrays are values that are used as they are: tables
``[n, D]``, series ``[n, T, C]`` and volumes ``[n, X, Y, Z, C]``.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Lt

from wgan_jax.data.array_files import named, no_images
from wgan_jax.data.files import check_file
from wgan_jax.data.records import take
from wgan_jax.data.source import MOST_CLASSES, Source
from wgan_jax.data.splits import are_held_out, short_hash, split_rows
from wgan_jax.errors import ArchiveError, DataError
from wgan_jax.io.caches import read_arrays
from wgan_jax.io.files import expanded
from wgan_jax.io.images import CHANNELS, are_images
from wgan_jax.io.imports import import_object


def load_arrays(
    name: str,
    *,
    split: str,
    path: str = "",
    low: float | None = None,
    high: float | None = None,
    held_out: Annotated[float, Ge(0), Lt(1)] = 0.0,
) -> Source:
    """Loads examples from an ``.npy`` file, and also labels from an ``.npz`` file.

    Args:
        name: ``arrays``.
        split: ``train`` or ``test``, or a part, in the syntax of
            ``resolve_split``.
        path: the file. It has to be given. An ``.npz`` file has the examples as
            ``images`` (or ``image``, ``x``, ``arr_0``), and may have labels as
            ``labels`` (or ``label``, ``y``). Images are uint8 or floating-point
            ``[n, H, W, C]``, or ``[n, H, W]`` for gray with another width than 1,
            3 and 4. Tables ``[n, D]``, series ``[n, T, C]`` and volumes ``[n, X,
            Y, Z, C]`` are floating-point. Labels are whole numbers ``[n]`` from 0,
            below 65,536.
        low: value of black in floating-point images; None for other examples.
        high: value of white in floating-point images, which are rounded to 256
            levels; None for other examples.
        held_out: fraction of the examples in the split ``test``, in [0, 1),
            chosen by a hash of each example.

    Returns:
        The source.

    Raises:
        ValueError: if an option or the split is invalid.
        DataError: if the file cannot be read or does not have such arrays.
    """
    if not path:
        raise ValueError("path is not set; it must be an .npy or .npz file.")
    file = expanded(path)
    check_file(file)
    images, labels = _read(file)
    examples = as_examples(images, where=str(file), low=low, high=high)
    about = {"origin": "arrays"}
    return select(_source(name, split, examples, labels, str(file), about), held_out)


def find_function(name: str) -> Callable[..., Source]:
    """Returns a loader that calls a function of the user.

    Args:
        name: ``module:function``. The module is found as by ``import``, and in
            the current folder. The function's parameters are the options of the
            dataset; ``split`` and ``seed`` are passed if it has them. Without
            ``split``, all examples are the split ``train``. It returns a
            ``Source``, an array of examples, a pair of examples and labels, or
            any object with ``__len__`` and ``__getitem__`` whose items are
            examples, pairs, or mappings with ``image`` and ``label``. Examples
            are as for ``as_examples``.

    Returns:
        The loader.

    Raises:
        ValueError: if there is no such module or function.
    """
    function = import_object(name)
    if not callable(function):
        raise ValueError(f"{name!r} is not a function.")

    parameters = inspect.signature(function).parameters

    def load(name: str, *, split: str, **options: Any) -> Source:
        if "split" in parameters:
            return from_object(function(split=split, **options), name, split)
        return select(from_object(function(**options), name, split), 0.0)

    first, split, _ = inspect.signature(load).parameters.values()
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in parameters.items()
        if name != "split"
    ]
    load.__signature__ = inspect.Signature([first, split, *own])  # type: ignore[attr-defined]
    return load


def from_object(found: Any, name: str, split: str) -> Source:
    """Returns the source of a Python object with examples.

    Args:
        found: a ``Source``, an array of examples, a pair of examples and labels, or
            an object with ``__len__`` and ``__getitem__``, as described for
            ``find_function``.
        name: name of the dataset.
        split: name of the split.

    Raises:
        DataError: if it is none of these, or the examples are invalid.
    """
    if isinstance(found, Source):
        return found
    labels = None
    if isinstance(found, tuple) and len(found) == 2:
        found, labels = found
    if not (hasattr(found, "__len__") and hasattr(found, "__getitem__")):
        raise DataError(
            f"{name} returned {type(found).__name__}; it must return images, images "
            "and labels, or an object with __len__ and __getitem__."
        )
    if not isinstance(found, np.ndarray):
        found, labels = _collected(found, labels, name)
    examples = as_examples(found, where=name)
    return _source(name, split, examples, labels, name, {"origin": "function"})


def as_examples(
    examples: Any, *, where: str, low: float | None = None, high: float | None = None
) -> np.ndarray:
    """Returns images as uint8 ``[n, H, W, C]``, and other examples as float32.

    Args:
        examples: images as for ``as_levels``, or floating-point values ``[n, D]``,
            ``[n, T, C]`` or ``[n, X, Y, Z, C]``, which are not scaled.
        where: where the examples come from, for messages.
        low: value of black in floating-point images; None for other examples.
        high: value of white in floating-point images; None for other examples.

    Raises:
        DataError: if shape, dtype or range is not as described.
    """
    examples = np.asarray(examples)
    floating = np.issubdtype(examples.dtype, np.floating)
    if examples.ndim == 4 or (
        examples.ndim == 3 and not (floating and low is None and high is None)
    ):
        return as_levels(examples, where=where, low=low, high=high)
    about = f"{where}: the examples are {examples.dtype} {list(examples.shape)}"
    if not floating or examples.ndim < 2 or not examples.size:
        raise DataError(
            f"{about}; images must be [n, H, W, C] or [n, H, W], other examples "
            "floating-point [n, D], [n, T, C] or [n, X, Y, Z, C], and no size 0."
        )
    if low is not None or high is not None:
        raise DataError(
            f"{about}, which are no images; leave low and high, the values of black "
            "and white, unset."
        )
    with np.errstate(over="ignore"):  # of values beyond float32, reported below
        values = np.ascontiguousarray(examples, np.float32)
    if not np.isfinite(values).all():
        raise DataError(
            f"{where}: the examples have values that are not finite in float32."
        )
    return values


def as_levels(
    images: Any, *, where: str, low: float | None = None, high: float | None = None
) -> np.ndarray:
    """Returns images as uint8 ``[n, H, W, C]``.

    Args:
        images: uint8 or floating-point ``[n, H, W, C]`` or ``[n, H, W]``.
        where: where the images come from, for messages.
        low: value of black in floating-point images.
        high: value of white in floating-point images.

    Raises:
        DataError: if shape, dtype or range is not as described.
    """
    images = np.asarray(images)
    shape = list(images.shape)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or not images.size:
        raise DataError(
            f"{where}: the images have the shape {shape}; it must be [n, H, W, C], or "
            "[n, H, W] for gray, and none may be 0."
        )
    if are_images(shape):
        raise DataError(
            f"{where}: the images have the shape {shape}, which is that of a single "
            "one; the first axis of [n, H, W, C] is missing."
        )
    if images.shape[3] not in CHANNELS:
        transposed = images.shape[1] in CHANNELS
        hint = " Move the second axis to the end." if transposed else ""
        raise DataError(
            f"{where}: the images have the shape {shape}; the last axis must be 1 for "
            f"gray, 3 for RGB or 4 for RGBA.{hint} Values that are no images can have "
            "the shape [n, 1, H, W, C]."
        )
    if images.dtype == np.uint8:
        if low is not None or high is not None:
            raise DataError(
                f"{where}: the images are uint8, whose range is 0 to 255; leave low "
                "and high unset."
            )
        return np.ascontiguousarray(images)
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(
            f"{where}: the images are {images.dtype}; they must be uint8, or "
            "floating-point with the range low to high."
        )
    least, most = float(images.min()), float(images.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        raise DataError(f"{where}: the images have values that are not finite.")
    # An infinite range would make all levels 0.
    if low is None or high is None or not -np.inf < low < high < np.inf:
        raise DataError(
            f"{where}: the images are {images.dtype} from {least:g} to {most:g}; low "
            "and high must be set to the values of black and white, such as low=0.0 "
            "and high=1.0."
        )
    if not (low <= least and most <= high):
        raise DataError(
            f"{where}: the images are from {least:g} to {most:g}; they must be from "
            f"low={low:g} to high={high:g}."
        )
    scaled = (images.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(scaled).astype(np.uint8)


def as_labels(labels: Any, count: int, where: str) -> np.ndarray:
    """Returns labels as int32 ``[n]``.

    Args:
        labels: whole numbers from 0.
        count: number of images.
        where: where the labels come from, for messages.

    Raises:
        DataError: if there are not as many, or they are not such numbers.
    """
    labels = np.asarray(labels)
    if labels.shape != (count,):
        raise DataError(
            f"{where}: the labels have the shape {list(labels.shape)}; it must be "
            f"[{count}], one for each image."
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        least = labels.min() if labels.dtype.kind in "iuf" else ""
        raise DataError(
            f"{where}: the labels are {labels.dtype} {least}".rstrip()
            + "; they must be whole numbers from 0."
        )
    if labels.max() >= MOST_CLASSES:  # before int32, which would wrap around
        raise DataError(
            f"{where}: the labels are {labels.dtype} {labels.max()}; they must be "
            f"below {MOST_CLASSES:,}."
        )
    return labels.astype(np.int32)


def select(source: Source, held_out: float) -> Source:
    """Returns the part of a source that its split names.

    Args:
        source: all examples.
        held_out: fraction of ``test``, chosen by a hash of each image.

    Raises:
        ValueError: if the split is invalid.
    """
    hashes = np.zeros(len(source), np.uint64)
    if held_out:
        hashes[:] = [short_hash(source.images[i].tobytes()) for i in range(len(source))]
    rows = split_rows(source.split, are_held_out(hashes, held_out))
    labels = None if source.labels is None else source.labels[rows]
    images = take(source.images, rows)
    return replace(source, images=images, labels=labels, ids=rows)


def _source(
    name: str,
    split: str,
    examples: np.ndarray,
    labels: Any,
    where: str,
    provenance: Mapping[str, Any],
) -> Source:
    numbers = None if labels is None else as_labels(labels, len(examples), where)
    return Source(
        name=name,
        split=split,
        images=examples,
        labels=numbers,
        num_classes=None if numbers is None else int(numbers.max()) + 1,
        provenance=provenance,
    )


def _read(file: Path) -> tuple[np.ndarray, np.ndarray | None]:
    if file.suffix.lower() == ".npy":
        try:
            with file.open("rb") as stream:
                return np.lib.format.read_array(stream, allow_pickle=False), None
        # For a damaged header, numpy raises many different exceptions.
        except Exception as error:
            raise DataError(
                f"{file} cannot be read as an .npy file ({type(error).__name__}); it "
                "must be written by numpy.save, without Python objects."
            ) from error
    try:
        arrays = read_arrays(file)
    except (OSError, ArchiveError) as error:
        raise DataError(
            f"{str(error).removesuffix('.')}; it must be written by numpy.savez, "
            "without Python objects."
        ) from error
    images = named(arrays, "images")
    if images is None:
        raise no_images(file, list(arrays))
    return images, named(arrays, "labels")


def _collected(found: Sequence[Any], labels: Any, name: str) -> tuple[np.ndarray, Any]:
    """Returns the images, and the labels if there are any, of an indexable object."""
    images, numbers = [], []
    for index in range(len(found)):
        item = found[index]
        label = None
        if isinstance(item, Mapping):
            if "image" not in item:
                raise DataError(
                    f"{name}: item {index} has the keys {', '.join(map(str, item))}; "
                    "one of them must be image."
                )
            label, item = item.get("label"), item["image"]
        elif isinstance(item, tuple) and len(item) == 2:
            item, label = item
        images.append(np.asarray(item))
        if label is not None:
            numbers.append(int(label))
        if images[-1].shape != images[0].shape:
            raise DataError(
                f"{name}: image {index} has the shape {list(images[-1].shape)}, but "
                f"image 0 has {list(images[0].shape)}; all must be equal."
            )
    if not images:
        raise DataError(f"{name} has no images.")
    if numbers and len(numbers) != len(images):
        raise DataError(
            f"{name}: {len(numbers)} of {len(images)} images have a label; all or none "
            "must have one."
        )
    return np.stack(images), numbers if numbers else labels
