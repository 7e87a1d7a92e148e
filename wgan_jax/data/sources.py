"""In-memory datasets, and the table of dataset names."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from wgan_jax.data.arrays import find_function, load_arrays
from wgan_jax.data.folder import described_folder, load_folder
from wgan_jax.data.source import Source
from wgan_jax.data.splits import resolve_split, stored_rows
from wgan_jax.data.toys import TOYS, draw_points
from wgan_jax.errors import unknown
from wgan_jax.io.caches import read_arrays
from wgan_jax.ranges import Count, check_ranges

_TFDS_PREFIX = "tfds:"
_DIGITS = Path(__file__).with_name("digits.npz")
_DIGITS_TRAIN = 1500


def described_source(record: Mapping[str, Any]) -> Source:
    """Returns a source of examples of zeros, with the shapes and classes of a record.

    It replaces a dataset where only shapes and classes matter, so no file is
    read.

    Args:
        record: result of ``Source.record`` for the dataset.
    """
    shape = (record["count"], *record["example_shape"])
    classes = record["num_classes"]
    return Source(
        name=record["name"],
        split=record["split"],
        images=np.broadcast_to(np.zeros((), record["dtype"]), shape),
        labels=None if classes is None else np.zeros(shape[0], np.int32),
        num_classes=classes,
    )


def load_source(
    name: str,
    *,
    split: str = "train",
    data_dir: str | None = None,
    seed: int = 0,
    examples: bool = True,
    **options: Any,
) -> Source:
    """Loads a dataset into memory.

    Args:
        name: a key of ``DATASETS``, or ``tfds:NAME`` for any image dataset of
            TensorFlow Datasets with a single image size.
        split: a split or a part of one, in the syntax of ``resolve_split``.
        data_dir: folder of prepared datasets; None for TFDS_DATA_DIR in the
            environment, or else tfds' default. Only for datasets read from
            files.
        seed: seed of generated datasets, 0 or above; ignored by others.
        examples: False to return only shapes, dtypes and classes, without
            reading files. The examples are then black with label 0. If the
            dataset is not prepared, there are none, because their number is
            unknown.
        **options: options of the dataset's loader: ``size``, the number of
            points of a toy dataset; ``resize``, the side in pixels to which
            images read from files are resized.

    Returns:
        The source.

    Raises:
        ValueError: if the name, an option or the split is unknown.
        DataError: if the dataset is damaged, or missing and cannot be
            downloaded.
    """
    try:
        loader = find_loader(name)
    except ValueError as error:
        raise ValueError(f"dataset {error}") from error
    if loader is _from_tfds and not examples:
        loader = _described
    accepted = inspect.signature(loader).parameters
    if loader is load_folder and not examples:
        loader = described_folder
    common = {"split": split, "data_dir": data_dir, "seed": seed}
    choices = sorted(set(accepted) - set(common) - {"name"})
    for option in options:
        if option not in choices:
            raise ValueError(
                f"dataset {name!r} has no option {option!r}; its options are: "
                f"{', '.join(choices) or 'none'}."
            )
    if data_dir is not None and "data_dir" not in accepted:
        raise ValueError(
            f"dataset {name!r} is not read from files, but data_dir is {data_dir!r}; "
            "leave it unset."
        )
    shared = {key: value for key, value in common.items() if key in accepted}
    check_ranges(f"dataset {name!r}", accepted, shared | options)
    return loader(name, **shared, **options)


def find_loader(name: str) -> Callable[..., Source]:
    """Returns the function that loads a dataset, its options keyword-only.

    Args:
        name: a key of ``DATASETS``, ``tfds:NAME``, or ``module:function``.

    Raises:
        ValueError: if the name is unknown.
    """
    if isinstance(name, str) and name.startswith(_TFDS_PREFIX):
        return _from_tfds
    if name in DATASETS:
        return DATASETS[name]
    if isinstance(name, str) and ":" in name:
        return find_function(name)
    raise ValueError(
        f"{unknown(name, DATASETS)} Use {_TFDS_PREFIX}NAME for any other dataset of "
        "tfds, or module:function for a function of your own."
    )


def _from_tfds(
    name: str,
    *,
    split: str,
    data_dir: str | None = None,
    resize: Count | None = None,
) -> Source:
    """Loads images from files, optionally resized to squares of side ``resize``."""
    from wgan_jax.data.tfds_reader import read_tfds
    from wgan_jax.data.tfds_records import RESIZE_FILTER

    records = read_tfds(
        name.removeprefix(_TFDS_PREFIX), split=split, data_dir=data_dir, resize=resize
    )
    resized = {"resize": resize, "filter": RESIZE_FILTER.name.lower()}
    return Source(
        name=name,
        split=split,
        images=records.images,
        labels=records.labels,
        num_classes=records.num_classes,
        provenance={
            "origin": "tensorflow_datasets",
            "version": records.version,
            "file_format": records.file_format,
            **(resized if resize is not None else {}),
        },
        ids=records.ids,
    )


def _described(
    name: str,
    *,
    split: str,
    data_dir: str | None = None,
    resize: Count | None = None,
) -> Source:
    """Returns the shapes of ``_from_tfds`` without examples."""
    from wgan_jax.data import tfds_reader

    title = name.removeprefix(_TFDS_PREFIX)
    builder = tfds_reader.open_builder(title, tfds_reader.data_folder(data_dir))
    features = tfds_reader.image_features(title, builder)
    ids = np.zeros(0, np.int64)
    if builder.is_prepared():
        ids = stored_rows(split, tfds_reader.split_sizes(builder))
    count = len(ids)
    height, width, channels = features["image"].shape
    sides = (height, width) if resize is None else (resize, resize)
    labelled = "label" in features
    return Source(
        name=name,
        split=split,
        images=np.broadcast_to(np.uint8(0), (count, *sides, channels)),
        labels=np.broadcast_to(np.int32(0), (count,)) if labelled else None,
        num_classes=features["label"].num_classes if labelled else None,
        ids=ids,
    )


def _digits(name: str, *, split: str) -> Source:
    """Loads scans of handwritten digits, 8x8, which are included in the package.

    They are the test set of UCI's "Optical Recognition of Handwritten Digits"
    as included in scikit-learn 1.9.1: Alpaydin, Kaynak 1998,
    doi:10.24432/C50P49, CC BY 4.0. The gray level v in 0..16 is mapped to
    ``(255 v + 8) // 16``: 0 stays 0, 16 becomes 255, and all levels stay
    distinct. The first 1,500 scans are ``train``, the last 297 are ``test``.
    """
    table = read_arrays(_DIGITS)
    levels = table["scans"].astype(np.int64).reshape(-1, 8, 8, 1)
    images = ((255 * levels + 8) // 16).astype(np.uint8)
    sizes = {"train": _DIGITS_TRAIN, "test": len(images) - _DIGITS_TRAIN}
    rows = stored_rows(split, sizes)
    return Source(
        name=name,
        split=split,
        images=images[rows],
        labels=table["digits"][rows].astype(np.int32),
        num_classes=10,
        provenance={"origin": "doi:10.24432/C50P49"},
        ids=rows,
    )


def _toy(
    name: str, *, split: str, seed: Annotated[int, Ge(0)] = 0, size: Count = 100_000
) -> Source:
    """Generates a toy dataset with ``size`` points in each of train and test."""
    points, labels = [], []
    sizes = {"train": size, "test": size}
    for part, start, stop in resolve_split(split, sizes):
        drawn, components = draw_points(name, split=part, seed=seed, size=size)
        points.append(drawn[start:stop])
        if components is not None:
            labels.append(components[start:stop])
    return Source(
        name=name,
        split=split,
        images=np.concatenate(points),
        labels=np.concatenate(labels) if labels else None,
        num_classes=TOYS[name].components,
        provenance={"origin": "drawn", "seed": seed, "size": size},
        modes=TOYS[name].mixture,
        ids=stored_rows(split, sizes),
    )


DATASETS: dict[str, Callable[..., Source]] = {
    "cifar10": _from_tfds,
    "mnist": _from_tfds,
    "fashion_mnist": _from_tfds,
    "digits": _digits,
    "arrays": load_arrays,
    "folder": load_folder,
    "gaussians8": _toy,
    "gaussians25": _toy,
    "swiss_roll": _toy,
}
