"""Synthetic archives in the format of the official ones, and sets made of them."""

import gzip
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

IDX_SETS = ("mnist", "fashion_mnist")
CIFAR_NAMES = ["airplane", "automobile", "bird", "cat", "deer"]
CIFAR_NAMES += ["dog", "frog", "horse", "ship", "truck"]
COUNTS = {"train": 20, "test": 6}


def _examples(shape):
    rng = np.random.default_rng(0)
    return {
        split: (
            rng.integers(0, 256, (count, *shape), np.uint8),
            rng.integers(0, 10, count).astype(np.uint8),
        )
        for split, count in COUNTS.items()
    }


def _write_cifar(folder):
    examples = _examples((32, 32, 3))
    members = {"batches.meta.txt": "\n".join(CIFAR_NAMES).encode() + b"\n\n"}
    for split, (images, labels) in examples.items():
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        records = np.concatenate([labels[:, None], planes], axis=1)
        if split == "test":
            members["test_batch.bin"] = records.tobytes()
        else:
            for i, part in enumerate(np.split(records, 5), start=1):
                members[f"data_batch_{i}.bin"] = part.tobytes()
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return examples


def _write_idx(folder):
    examples = _examples((28, 28))
    for split, part in (("train", "train"), ("test", "t10k")):
        images, labels = examples[split]
        head = struct.pack(">IIII", 0x803, len(images), 28, 28)
        content = gzip.compress(head + images.tobytes())
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(content)
        head = struct.pack(">II", 0x801, len(labels))
        content = gzip.compress(head + labels.tobytes())
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(content)
    return {k: (images[..., None], labels) for k, (images, labels) in examples.items()}


@pytest.fixture
def archives(monkeypatch):
    """write(name, folder, host=...): archives that pass as official at that host."""
    from etils import epath
    from tensorflow_datasets.core.download import checksums

    from wgan_jax.data.prepare import BUILDERS

    def write(name, folder: Path, host="http://127.0.0.1:1"):
        folder.mkdir(parents=True, exist_ok=True)
        examples = _write_idx(folder) if name in IDX_SETS else _write_cifar(folder)
        infos = {}
        for path in sorted(folder.iterdir()):
            info = checksums.compute_url_info(epath.Path(path))
            infos[f"{host}/{path.name}"] = checksums.UrlInfo(
                size=info.size, checksum=info.checksum, filename=path.name
            )
        monkeypatch.setattr(BUILDERS[name], "url_infos", infos)
        # A proxy of the environment must not stand between a test and its host.
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        return examples

    return write


@pytest.fixture
def prepared_mnist(archives, tmp_path):
    """A folder with MNIST prepared from synthetic archives, and its examples."""
    from wgan_jax.data.prepare import prepare

    examples = archives("mnist", tmp_path / "downloads" / "manual")
    prepare("mnist", data_dir=str(tmp_path))
    return tmp_path, examples
