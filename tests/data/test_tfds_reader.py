"""Reading prepared data: the real sets where present, and damage of every kind."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from wgan_jax.data import Pipeline, load_source, tfds_reader
from wgan_jax.errors import DataError

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "tfds"


def real(name, *values):
    absent = pytest.mark.skipif(
        not (REAL / name).is_dir(), reason=f"{name} is not prepared beside the checkout"
    )
    return pytest.param(name, *values, marks=absent)


@pytest.mark.parametrize(
    ("name", "shape", "train"),
    [
        real("cifar10", (32, 32, 3), 50_000),
        real("fashion_mnist", (28, 28, 1), 60_000),
    ],
)
def test_real_sets(name, shape, train):
    source = load_source(name, data_dir=str(REAL))
    assert source.images.shape == (train, *shape)
    assert source.images.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(source.labels), [train // 10] * 10)
    assert source.num_classes == 10
    assert len(load_source(name, split="test", data_dir=str(REAL))) == 10_000

    pipeline = Pipeline(
        source,
        batch_size=64,
        seed=0,
        labels=True,
        critic_updates=lambda t: 5,
        critic_updates_before=lambda t: 5 * t,
    )
    batch, rows = pipeline.batch(0), pipeline.indices(0)
    assert (batch["label"].dtype, batch["label"].shape) == (np.int32, (5, 64))
    np.testing.assert_array_equal(batch["label"], source.labels[rows])
    first = batch["image"]
    np.testing.assert_array_equal(first, source.images[rows])
    assert first.shape == (5, 64, *shape)
    assert (first.dtype, first.min(), first.max()) == (np.uint8, 0, 255)


@pytest.mark.parametrize("name", [real("cifar10"), real("fashion_mnist")])
def test_pixels_are_those_of_tfds(name):
    source = load_source(name, split="test[:50]", data_dir=str(REAL))
    items = tfds.data_source(
        name, split="test[:50]", data_dir=str(REAL), download=False
    )
    for i, item in enumerate(items):
        np.testing.assert_array_equal(source.images[i], item["image"])
        assert source.labels[i] == item["label"]


@pytest.mark.parametrize(
    ("name", "shape"),
    [real("cifar10", (64, 64, 3)), real("fashion_mnist", (64, 64, 1))],
)
def test_real_sets_resized(name, shape):
    options = {"split": "test[:50]", "data_dir": str(REAL)}
    small, large = load_source(name, **options), load_source(name, resize=64, **options)
    assert (large.images.shape, large.images.dtype) == ((50, *shape), np.uint8)
    np.testing.assert_array_equal(large.labels, small.labels)
    for before, after in zip(small.images, large.images, strict=True):
        picture = Image.fromarray(before.squeeze()).resize((64, 64), Image.BILINEAR)
        np.testing.assert_array_equal(after.squeeze(), np.asarray(picture))


def weights(small, large):
    """Bilinear interpolation between the middles of pixels, as a matrix."""
    places = (np.arange(large) + 0.5) * small / large - 0.5
    distances = np.abs(places[:, None] - np.arange(small))
    rows = np.clip(1 - distances, 0, 1)
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_resized_pictures_are_interpolated(name, archives, tmp_path):
    archives(name, tmp_path / "downloads" / "manual")
    plain = load_source(name, data_dir=str(tmp_path))
    large = load_source(name, data_dir=str(tmp_path), resize=64)
    assert large.images.dtype == np.uint8
    side = plain.example_shape[0]
    matrix = weights(side, 64)
    expected = np.einsum("ih,jw,nhwc->nijc", matrix, matrix, plain.images)
    # Pillow rounds after each of the two axes.
    np.testing.assert_allclose(large.images, expected, atol=1.01)
    np.testing.assert_array_equal(large.labels, plain.labels)
    assert large.num_classes == 10
    assert "resize" not in plain.record()
    assert (large.record()["resize"], large.record()["filter"]) == (64, "bilinear")
    json.dumps(large.record())

    same = load_source(name, data_dir=str(tmp_path), resize=side)
    np.testing.assert_array_equal(same.images, plain.images)
    dot = load_source(name, data_dir=str(tmp_path), resize=1)
    assert dot.example_shape == (1, 1, plain.example_shape[2])


def test_what_does_not_fit_in_memory_is_no_damage(prepared_mnist):
    with pytest.raises(MemoryError):
        load_source("mnist", data_dir=str(prepared_mnist[0]), resize=10**7)


def test_sub_splits_are_parts_of_the_whole(prepared_mnist):
    folder, _ = prepared_mnist
    whole = load_source("mnist", data_dir=str(folder)).images
    test = load_source("mnist", split="test", data_dir=str(folder)).images
    mixed = load_source("mnist", split="train[5:10]+test[50%:]", data_dir=str(folder))
    np.testing.assert_array_equal(mixed.images, np.concatenate([whole[5:10], test[3:]]))


@pytest.mark.parametrize(
    "split", ["validation", "train[:1000]", "train[3:3]", "train["]
)
def test_a_wrong_split_lists_what_there_is(split, prepared_mnist):
    with pytest.raises(ValueError, match=r"train \(20 examples\)") as caught:
        load_source("mnist", split=split, data_dir=str(prepared_mnist[0]))
    assert type(caught.value) is ValueError


def test_any_other_tfds_name_reads_the_same(prepared_mnist):
    folder, _ = prepared_mnist
    plain = load_source("mnist", data_dir=str(folder))
    prefixed = load_source("tfds:mnist", data_dir=str(folder))
    np.testing.assert_array_equal(plain.images, prefixed.images)
    assert prefixed.name == "tfds:mnist"
    assert plain.provenance["version"] == "3.0.1"
    assert plain.provenance["file_format"] == "array_record"


def test_the_environment_names_the_folder(prepared_mnist, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_mnist[0]))
    assert len(load_source("mnist")) == 20


def files_of(folder):
    root = folder / "mnist" / "3.0.1"
    return root, root / "mnist-train.array_record-00000-of-00001"


def remove_info(root, record):
    (root / "dataset_info.json").unlink()


def break_info(root, record):
    (root / "dataset_info.json").write_text("{broken")


def empty_info(root, record):
    (root / "dataset_info.json").write_text("{}")


def truncate(root, record):
    os.truncate(record, record.stat().st_size // 2)


def overwrite(root, record):
    content = bytearray(record.read_bytes())
    start = content.index(b"\x89PNG") if b"\x89PNG" in content else 200
    content[start : start + 4000] = bytes(4000)
    record.write_bytes(content)


def remove_shard(root, record):
    record.unlink()


@pytest.mark.parametrize(
    "damage", [remove_info, break_info, empty_info, truncate, overwrite, remove_shard]
)
def test_damage_is_one_sentence(damage, prepared_mnist):
    folder, _ = prepared_mnist
    damage(*files_of(folder))
    with pytest.raises(DataError) as caught:
        load_source("mnist", data_dir=str(folder))
    message = str(caught.value)
    assert "mnist" in message
    assert str(folder) in message
    assert "remove" in message.lower()
    assert "\n" not in message


def edit_info(root, edit):
    path = root / "dataset_info.json"
    info = json.loads(path.read_text())
    edit(info)
    path.write_text(json.dumps(info))


def test_fewer_examples_than_declared(prepared_mnist):
    folder, _ = prepared_mnist
    root, _ = files_of(folder)

    def declare_more(info):
        for split in info["splits"]:
            split["shardLengths"] = [str(int(split["shardLengths"][0]) + 1)]

    edit_info(root, declare_more)
    with pytest.raises(DataError, match="damaged"):
        load_source("mnist", data_dir=str(folder))


def as_tfrecord(folder):
    """Rewrites the prepared set as the stock builder with TensorFlow would store it."""
    root, _ = files_of(folder)
    builder = tfds.builder("mnist", data_dir=str(folder))
    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    for split in ("train", "test"):
        records = list(builder.as_data_source(split, deserialize_method=raw))
        framed = b"".join(
            struct.pack("<Q", len(r)) + bytes(4) + r + bytes(4) for r in records
        )
        (root / f"mnist-{split}.tfrecord-00000-of-00001").write_bytes(framed)
        (root / f"mnist-{split}.array_record-00000-of-00001").unlink()
    edit_info(root, lambda info: info.update(fileFormat="tfrecord"))
    return root / "mnist-train.tfrecord-00000-of-00001"


def test_tfrecord_reads_the_same(prepared_mnist):
    folder, _ = prepared_mnist
    splits = ("train", "test", "train[7:12]")
    before = [load_source("mnist", split=s, data_dir=str(folder)) for s in splits]
    as_tfrecord(folder)
    for split, expected in zip(splits, before, strict=True):
        source = load_source("mnist", split=split, data_dir=str(folder))
        assert source.provenance["file_format"] == "tfrecord"
        np.testing.assert_array_equal(source.images, expected.images)
        np.testing.assert_array_equal(source.labels, expected.labels)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
def test_a_truncated_tfrecord_is_damage(part, prepared_mnist):
    folder, _ = prepared_mnist
    record = as_tfrecord(folder)
    os.truncate(record, int(record.stat().st_size * part))
    with pytest.raises(DataError, match="ends"):
        load_source("mnist", data_dir=str(folder))


def test_another_file_format_is_named(prepared_mnist):
    folder, _ = prepared_mnist
    root, _ = files_of(folder)
    edit_info(root, lambda info: info.update(fileFormat="riegeli"))
    with pytest.raises(DataError, match="stored as riegeli"):
        load_source("mnist", data_dir=str(folder))


def test_an_unknown_tfds_name():
    with pytest.raises(ValueError, match="has no dataset 'no_such_set'"):
        load_source("tfds:no_such_set")


def test_what_needs_tensorflow_says_which_extra(tmp_path):
    with pytest.raises(DataError, match=r"pip install 'wgan-jax\[prepare\]'"):
        load_source("tfds:svhn_cropped", data_dir=str(tmp_path))


def test_with_tensorflow_an_unreachable_host_is_found_first(tmp_path, monkeypatch):
    found = tfds_reader.importlib.util.find_spec
    monkeypatch.setattr(
        tfds_reader.importlib.util,
        "find_spec",
        lambda name: name if name == "tensorflow" else found(name),
    )
    builder = tfds.builder_cls("svhn_cropped")
    info = next(iter(builder.url_infos.values()))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(builder, "url_infos", {"http://127.0.0.1:1/a": info})
    with pytest.raises(DataError, match="Options:"):
        load_source("tfds:svhn_cropped", data_dir=str(tmp_path))


class Sentences(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"text": "one"}


def test_a_set_without_pictures_is_refused(tmp_path):
    Sentences(data_dir=str(tmp_path), file_format="array_record").download_and_prepare()
    with pytest.raises(ValueError, match="no feature 'image'"):
        load_source("tfds:sentences", data_dir=str(tmp_path))


@pytest.mark.parametrize("resize", [None, 32])
def test_pictures_of_another_size_than_declared_are_damage(resize, prepared_mnist):
    folder, _ = prepared_mnist
    items = tfds.data_source("mnist", split="train", data_dir=str(folder))
    assert items[0]["image"].shape == (28, 28, 1)
    builder = tfds.builder("mnist", data_dir=str(folder))
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(shape=(32, 32, 1))}
    )
    with pytest.raises(ValueError, match="28 x 28 in mode L"):
        tfds_reader._decode(builder, "train", features, resize)


def test_tensorflow_is_never_imported(prepared_mnist):
    folder, _ = prepared_mnist
    code = f"""
import sys
import wgan_jax.data as data
heavy = {{"tensorflow_datasets", "sklearn", "PIL", "tensorflow"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
data.load_source("mnist", data_dir={str(folder)!r})
data.load_source("digits", split="train[:10%]")
data.load_source("swiss_roll")
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
