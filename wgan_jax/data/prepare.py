"""Prepares CIFAR-10, MNIST and Fashion-MNIST without TensorFlow.

The stock builders of TensorFlow Datasets (tfds) import TensorFlow to unpack
archives and to encode images. The subclasses here use the standard library and
Pillow for both. Names, features, keys (and thus the order on disk) and
checksums are those of the stock builders, so the stock readers can read the
files.
"""

import gzip
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.download import resource
from tensorflow_datasets.core.download.download_manager import (
    NonMatchingChecksumError,
)

from wgan_jax.errors import DataError

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
# Name resolution has no timeout of its own, so this limit covers the whole probe.
_PROBE_SECONDS = 20.0

Examples = Iterator[tuple[int, dict[str, Any]]]


def _encode_png(image: np.ndarray) -> io.BytesIO:
    """Encodes a uint8 image ``[H, W]`` or ``[H, W, 3]`` as PNG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    file.seek(0)
    return file


# tfds' classes are untyped, so mypy does not know that they accept this keyword.
class Cifar10(  # type: ignore[call-arg]
    tfds.image_classification.Cifar10, skip_registration=True
):
    """CIFAR-10 from ``cifar-10-binary.tar.gz``."""

    name = "cifar10"
    url_infos = tfds.image_classification.Cifar10.url_infos

    def _split_generators(self, dl_manager: Any) -> dict[str, Examples]:
        files = self._cifar_info
        path = _download(self, dl_manager)["cifar-10-binary.tar.gz"]
        wanted = [*files.train_files, *files.test_files, *files.label_files]
        with tarfile.open(path) as archive:
            members = {
                name: _read_member(archive, files.prefix + name) for name in wanted
            }
        names = members[files.label_files[0]].decode().split("\n")
        self.info.features["label"].names = [name for name in names if name]
        return {
            "train": self._generate_examples(
                "train_", [members[name] for name in files.train_files]
            ),
            "test": self._generate_examples(
                "test_", [members[name] for name in files.test_files]
            ),
        }

    def _generate_examples(self, prefix: str, parts: list[bytes]) -> Examples:
        records = np.frombuffer(b"".join(parts), np.uint8).reshape(-1, 1 + 3072)
        for index, record in enumerate(records):
            planes = record[1:].reshape(3, 32, 32)
            yield (
                index,
                {
                    "id": f"{prefix}{index:05d}",
                    "image": _encode_png(planes.transpose(1, 2, 0)),
                    "label": int(record[0]),
                },
            )


class _IdxBuilder:
    """Methods shared by MNIST and Fashion-MNIST."""

    def _split_generators(self, dl_manager: Any) -> dict[str, Examples]:
        files = _download(self, dl_manager)
        return {
            split: self._generate_examples(
                _read_idx(files[f"{part}-images-idx3-ubyte.gz"]),
                _read_idx(files[f"{part}-labels-idx1-ubyte.gz"]),
            )
            for split, part in (("train", "train"), ("test", "t10k"))
        }

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Examples:
        pairs = zip(images, labels, strict=True)
        for index, (image, label) in enumerate(pairs):
            yield index, {"image": _encode_png(image), "label": int(label)}


class Mnist(  # type: ignore[call-arg]
    _IdxBuilder, tfds.image_classification.MNIST, skip_registration=True
):
    """MNIST from its four gzipped idx files."""

    name = "mnist"
    url_infos = tfds.image_classification.MNIST.url_infos


class FashionMnist(  # type: ignore[call-arg]
    _IdxBuilder, tfds.image_classification.FashionMNIST, skip_registration=True
):
    """Fashion-MNIST from its four gzipped idx files."""

    name = "fashion_mnist"
    url_infos = tfds.image_classification.FashionMNIST.url_infos


def prepare(name: str, *, data_dir: str | None) -> None:
    """Writes a dataset in tfds' layout, in the array_record format.

    Official archives in ``<data_dir>/downloads/manual`` are used if present.
    Others are downloaded by tfds. Checksums are verified in both cases.

    Args:
        name: a key of ``BUILDERS``.
        data_dir: folder of prepared datasets; None for tfds' default.

    Raises:
        DataError: if the archives cannot be downloaded or are not the official
            ones.
    """
    builder = BUILDERS[name](data_dir=data_dir, file_format="array_record")
    downloads = Path(builder.data_dir_root) / "downloads"
    missing = [
        url
        for url, info in builder.url_infos.items()
        if not _is_at_hand(downloads, name, url, info)
    ]
    if missing:
        check_reachable(name, builder=builder, url=missing[0])
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    except NonMatchingChecksumError as error:
        path = str(error).split("downloaded to ")[-1].split(", has wrong")[0]
        raise DataError(
            f"{path} is not the official archive of {name}: its checksum differs. "
            "Replace it with the official archive, or remove it to download it again."
        ) from error
    except Exception as error:
        raise DataError(
            f"preparing {name} in {builder.data_dir} failed: {error}"
        ) from error


def check_reachable(name: str, *, builder: Any, url: str) -> None:
    """Raises an error within 20 seconds if a host does not serve an archive.

    Without this check, tfds retries an unreachable host for minutes.

    Args:
        name: name of the dataset, for the message.
        builder: its builder, which defines the folders.
        url: URL of one of its archives.

    Raises:
        DataError: if the archive is unavailable; the message lists the options.
    """
    trouble = [f"no answer in {_PROBE_SECONDS:.0f} seconds"]
    # A daemon thread, so that a hanging resolver cannot block the exit.
    probe = threading.Thread(target=_probe, args=(url, trouble), daemon=True)
    probe.start()
    probe.join(_PROBE_SECONDS)
    if not trouble:
        return
    archives = ", ".join(info.filename for info in builder.url_infos.values())
    root = Path(builder.data_dir_root)
    raise DataError(
        f"{name} is not in {builder.data_dir}, and {urlsplit(url).netloc} does not "
        f"serve its archive ({trouble[0]}). Options:",
        "  1. Download: start again on a network that reaches that host, or put "
        f"{archives} into {root / 'downloads' / 'manual'}.",
        "  2. Prepared data elsewhere: use --config.dataset.data_dir=DIR, where DIR "
        f"contains {Path(builder.data_dir).relative_to(root)}.",
        "  3. No download: use --config=digits_wgan_gp, whose data is part of the "
        "package.",
    )


def _probe(url: str, trouble: list[str]) -> None:
    """Clears ``trouble`` if the URL answers, otherwise stores the reason in it."""
    # tfds downloads with requests, so proxies and certificates are the same.
    import requests

    try:
        limits = (_CONNECT_SECONDS, _ANSWER_SECONDS)
        with requests.get(url, stream=True, timeout=limits) as response:
            code = response.status_code
            trouble[:] = [] if code == 200 else [f"HTTP status {code}"]
    # The thread has no caller to raise to.
    except Exception as error:
        trouble[:] = [type(error).__name__]


def _download(builder: Any, dl_manager: Any) -> Mapping[str, Path]:
    """Returns local paths of the archives by file name, downloading missing ones."""
    urls = {info.filename: url for url, info in builder.url_infos.items()}
    return dl_manager.download(urls)


def _is_at_hand(downloads: Path, name: str, url: str, info: Any) -> bool:
    """Returns whether tfds finds an archive locally, without downloading it."""
    cached = resource.get_dl_fname(url, info.checksum)
    places = ("manual/" + info.filename, f"{name}/{cached}", cached)
    return any((downloads / place).exists() for place in places)


def _read_member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise DataError(f"{name} in the archive of CIFAR-10 is not a file.")
    return file.read()


def _read_idx(path: Path) -> np.ndarray:
    """Reads the uint8 array of a gzipped idx file, whose header holds the sizes."""
    content = gzip.decompress(path.read_bytes())
    rank = content[3]
    sizes = np.frombuffer(content, ">u4", count=rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(sizes)


BUILDERS: dict[str, Any] = {
    "cifar10": Cifar10,
    "mnist": Mnist,
    "fashion_mnist": FashionMnist,
}
