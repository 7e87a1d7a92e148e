"""Tests of the conversion of tfds datasets and arrays."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from wgan_jax.data import Pipeline, convertible, converting, load_source
from wgan_jax.data.convertible import from_arrays, from_tfds
from wgan_jax.errors import DataError
from wgan_jax.program.cli import main

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "tfds"
IMAGES = np.random.RandomState(0).randint(0, 256, (45, 8, 8, 3), np.uint8)
LABELS = np.arange(45) % 4


@pytest.fixture(autouse=True)
def small_shards(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(converting, "SHARD", 8)
    monkeypatch.setattr(convertible, "_CHUNK", 1000)  # five images


@pytest.fixture
def npz(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=IMAGES, labels=LABELS)
    return tmp_path / "x.npz"


def load(path, **options):
    return load_source("folder", path=str(path), **options)


def command(*arguments):
    return main(["wgan-jax", "data", "convert", *map(str, arguments)])


def assert_same_examples(found, expected):
    assert found.images.dtype == expected.images.dtype
    np.testing.assert_array_equal(found.images[:], expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)
    assert found.num_classes == expected.num_classes
    theirs, ours = (
        Pipeline(
            source,
            batch_size=4,
            seed=3,
            critic_updates=lambda i: 2,
            critic_updates_before=lambda i: 2 * i,
            labels=expected.labels is not None,
        ).batch(1)
        for source in (expected, found)
    )
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("split", ["train", "test", "train[3:20]", "train+test", "all"])
def test_a_tfds_dataset_keeps_examples_labels_and_splits(
    split, prepared_mnist, tmp_path
):
    data_dir, _ = prepared_mnist
    assert command("tfds:mnist", tmp_path / "out", f"--data-dir={data_dir}") == 0
    expected = load_source("mnist", split=split, data_dir=str(data_dir))
    found = load(tmp_path / "out", split=split)
    assert_same_examples(found, expected)
    record = found.record()
    assert record["class_names"] == [str(i) for i in range(10)]
    assert (record["origin"], record["dataset"]) == ("tensorflow_datasets", "mnist")
    assert record["version"] == expected.record()["version"]


def test_a_tfds_dataset_is_resized_like_by_its_loader(prepared_mnist, tmp_path):
    data_dir, _ = prepared_mnist
    options = [f"--data-dir={data_dir}", "--size=32", "--filter=bilinear"]
    assert command("tfds:mnist", tmp_path / "out", *options) == 0
    expected = load_source("mnist", split="test", resize=32, data_dir=str(data_dir))
    found = load(tmp_path / "out", split="test", filter="bilinear")
    assert_same_examples(found, expected)


@pytest.mark.parametrize("name", ["cifar10", "fashion_mnist"])
def test_prepared_tfds_datasets(name, tmp_path, monkeypatch):
    if not (REAL / name).is_dir():
        pytest.skip(f"{name} is not in ../shared/data/tfds")
    monkeypatch.setattr(converting, "SHARD", 4096)
    given = from_tfds(name, data_dir=str(REAL))
    out = tmp_path / "out"
    converting.convert(given, out)
    for split in ("train", "test"):
        expected = load_source(name, split=split, data_dir=str(REAL))
        assert_same_examples(load(out, split=split, memory_limit=1), expected)


@pytest.mark.parametrize("split", ["train", "test", "train[3:20]"])
def test_arrays_keep_examples_labels_and_held_out_images(split, npz, tmp_path):
    assert command(npz, tmp_path / "out") == 0
    options = {"split": split, "held_out": 0.3}
    expected = load_source("arrays", path=str(npz), **options)
    found = load(tmp_path / "out", **options)
    assert_same_examples(found, expected)
    assert found.record()["class_names"] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2"])
def test_floating_point_arrays_of_gray_images_without_labels(dtype, tmp_path):
    path, out = tmp_path / "x.npy", tmp_path / "out"
    np.save(path, (IMAGES[..., 0] / 255).astype(dtype))
    assert command(path, out, "--low=0", "--high=1") == 0
    expected = load_source("arrays", path=str(path), low=0.0, high=1.0)
    assert expected.example_shape == (8, 8, 1)
    assert_same_examples(load(out), expected)


def test_rgba_arrays_keep_their_opacity(tmp_path):
    images = np.random.RandomState(0).randint(0, 256, (9, 8, 8, 4), np.uint8)
    np.save(tmp_path / "x.npy", images)
    assert command(tmp_path / "x.npy", tmp_path / "out") == 0
    np.testing.assert_array_equal(load(tmp_path / "out").images[:], images)
    assert command(tmp_path / "x.npy", tmp_path / "rgb", "--channels=3") == 0
    assert load(tmp_path / "rgb").example_shape == (8, 8, 3)


def test_the_held_out_images_do_not_depend_on_the_size(npz, tmp_path):
    assert command(npz, tmp_path / "out", "--size=4", "--channels=1") == 0
    options = {"split": "test", "held_out": 0.3}
    found = load(tmp_path / "out", **options)
    assert found.example_shape == (4, 4, 1)
    expected = load_source("arrays", path=str(npz), **options)
    np.testing.assert_array_equal(found.labels, expected.labels)


@pytest.mark.parametrize("kind", ["tfds", "npz", "npy"])
def test_an_interrupted_conversion_goes_on(kind, npz, prepared_mnist, tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    data_dir, _ = prepared_mnist

    def given():
        if kind == "tfds":
            return from_tfds("mnist", data_dir=str(data_dir))
        return from_arrays(tmp_path / f"x.{kind}")

    def stop(done, total):
        if done == 20:
            raise KeyboardInterrupt

    expected = converting.convert(given(), tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        converting.convert(given(), tmp_path / "out", progress=stop)
    with pytest.raises(DataError, match="was not finished"):
        load(tmp_path / "out")
    written = tmp_path / "out" / "shard-00001.npz"
    before = written.stat().st_mtime_ns
    calls = []
    found = converting.convert(
        given(), tmp_path / "out", progress=lambda done, total: calls.append(done)
    )
    assert calls[:3] == [8, 16, 17]  # the first two shards are not written again
    assert written.stat().st_mtime_ns == before
    assert found.names == expected.names
    np.testing.assert_array_equal(found.images[:], expected.images[:])
    np.testing.assert_array_equal(found.labels, expected.labels)


def test_resuming_starts_in_any_split(prepared_mnist):
    given = from_tfds("mnist", data_dir=str(prepared_mnist[0]))
    names = [item.name for item in given.read(0)]
    assert names[19:21] == ["train-00000019", "test-00000000"]
    for start in (1, 19, 20, 21, 25, 26):
        assert [item.name for item in given.read(start)] == names[start:]


def test_a_changed_source_is_another_conversion(npz, tmp_path):
    converting.convert(from_arrays(npz), tmp_path / "out")
    np.savez(npz, images=IMAGES[::-1], labels=LABELS)
    with pytest.raises(DataError, match="conversion of other pictures, or with other"):
        converting.convert(from_arrays(npz), tmp_path / "out")


def test_splits_of_a_dataset_exclude_held_out(prepared_mnist, tmp_path):
    given = from_tfds("mnist", data_dir=str(prepared_mnist[0]))
    converting.convert(given, tmp_path / "out")
    with pytest.raises(DataError, match=r"train, test, but held_out is 0\.1"):
        load(tmp_path / "out", held_out=0.1)


def test_damaged_tfds_files_are_named(prepared_mnist, tmp_path):
    data_dir, _ = prepared_mnist
    (file,) = data_dir.rglob("*train*array_record*")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    given = from_tfds("mnist", data_dir=str(data_dir))
    with pytest.raises(DataError, match=r"prepared mnist in .* is damaged"):
        converting.convert(given, tmp_path / "out")
    shutil.rmtree(data_dir / "mnist")
    with pytest.raises(DataError, match="does not serve its archive"):
        (data_dir / "downloads" / "manual" / "train-images-idx3-ubyte.gz").unlink()
        from_tfds("mnist", data_dir=str(data_dir))


def test_labels_and_their_names_belong_together(npz, tmp_path):
    converting.convert(from_arrays(npz), tmp_path / "out")
    path = tmp_path / "out" / "pictures.json"
    about = json.loads(path.read_text())
    about["origin"]["class_names"] = None
    path.write_text(json.dumps(about))
    with pytest.raises(DataError, match=r"pictures\.json does not fit the other files"):
        load(tmp_path / "out")


def cut(path):
    path.write_bytes(path.read_bytes()[:-500])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": IMAGES}, "has the arrays a; one of them must be named images"),
        ({"images": IMAGES.astype(np.int32)}, "are int32; they must be uint8"),
        ({"images": IMAGES.astype(np.float32)}, "low and high must be set"),
        ({"images": np.asfortranarray(IMAGES)}, "Fortran order; they must be"),
        ({"images": IMAGES[:0]}, r"are uint8 \[0, 8, 8, 3\] in C order"),
        ({"images": np.array(3)}, "must be numbers .n, H, W, C."),
        ({"images": IMAGES, "labels": LABELS[1:]}, r"must be \[45\]"),
        ({"images": IMAGES[:, :4]}, "8 x 4 pixels, and not square; use crop=center"),
        ({"images": np.array(["a"], object)}, "must be numbers"),
    ],
)
def test_arrays_of_other_kinds_are_rejected(arrays, message, tmp_path):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=message):
        from_arrays(tmp_path / "x.npz", crop="none")


def test_damaged_arrays_are_rejected(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    cut(tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"cannot be read as an \.npy file"):
        converting.convert(from_arrays(tmp_path / "x.npy"), tmp_path / "a")
    np.savez(tmp_path / "x.npz", images=IMAGES)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[-2000] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"cannot be read as an .npz file \(Bad CRC"):
        converting.convert(from_arrays(tmp_path / "x.npz"), tmp_path / "b")


def test_values_out_of_range_are_located(tmp_path):
    values = (IMAGES / 255).astype(np.float32)
    values[33] = 2
    np.save(tmp_path / "x.npy", values)
    given = from_arrays(tmp_path / "x.npy", low=0.0, high=1.0)
    with pytest.raises(DataError, match="images 33 to 33: the images are from 2 to 2"):
        converting.convert(given, tmp_path / "out")
