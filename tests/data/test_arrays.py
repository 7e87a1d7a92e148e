"""Tests of arrays in files, and of functions of the user."""

import sys

import numpy as np
import pytest

from wgan_jax.data import Source, load_source
from wgan_jax.data.arrays import as_levels, from_object
from wgan_jax.errors import DataError
from wgan_jax.program.cli import main

IMAGES = np.random.RandomState(0).randint(0, 256, (40, 8, 8, 3), np.uint8)
LABELS = np.arange(40) % 3


def load(path, **options):
    return load_source("arrays", path=str(path), **options)


def saved(folder, **arrays):
    np.savez(folder / "x.npz", **arrays)
    return folder / "x.npz"


@pytest.mark.parametrize("keys", [("images", "labels"), ("image", "label"), ("x", "y")])
def test_images_and_labels_of_an_npz_file(keys, tmp_path):
    source = load(saved(tmp_path, **dict(zip(keys, (IMAGES, LABELS), strict=True))))
    np.testing.assert_array_equal(source.images, IMAGES)
    np.testing.assert_array_equal(source.labels, LABELS)
    assert source.labels.dtype == np.int32
    assert source.num_classes == 3


def test_images_of_an_npy_file(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES[..., 0])
    source = load(tmp_path / "x.npy", split="train[:7]")
    np.testing.assert_array_equal(source.images, IMAGES[:7, ..., :1])
    assert source.labels is None


def test_floating_point_images_need_their_range(tmp_path):
    values = (IMAGES / 255 * 3 - 1).astype(np.float32)
    path = saved(tmp_path, images=values)
    np.testing.assert_array_equal(load(path, low=-1.0, high=2.0).images, IMAGES)
    with pytest.raises(DataError, match=r"float32 from -1 to 2; low and high must"):
        load(path)
    with pytest.raises(DataError, match=r"must be from low=0 to high=2"):
        load(path, low=0.0, high=2.0)
    with pytest.raises(DataError, match="low and high must be set"):
        load(path, low=2.0, high=-1.0)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.transpose(0, 3, 1, 2), "last axis must be 1 .*second axis to the end"),
        (IMAGES[0, 0], "must be .n, H, W, C., or .n, H, W."),
        (IMAGES[:0], "must be .n, H, W, C., or .n, H, W."),
        (IMAGES[..., :2], "gray, 3 for RGB or 4 for RGBA. Values"),
        (IMAGES.astype(np.int32), "are int32; they must be uint8"),
        (IMAGES > 9, "are bool; they must be uint8"),
        (np.full((2, 4, 4, 1), np.nan), "values that are not finite"),
    ],
)
def test_images_of_other_kinds_are_rejected(images, message):
    with pytest.raises(DataError, match=message):
        as_levels(images, where="here")


def test_nan_is_out_of_any_range():
    images = np.zeros((2, 4, 4, 1))
    images[1, 2] = np.nan
    with pytest.raises(DataError, match="values that are not finite"):
        as_levels(images, where="here", low=0.0, high=1.0)


def test_range_of_uint8_is_known():
    with pytest.raises(DataError, match="leave low and high unset"):
        as_levels(IMAGES, where="here", low=0.0, high=1.0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:5], r"shape \[5\]; it must be \[40\]"),
        (LABELS - 1, "int64 -1; they must be whole numbers from 0"),
        (LABELS + 0.5, "float64 0.5; they must be whole numbers"),
        (LABELS.astype(str), "they must be whole numbers"),
    ],
)
def test_labels_of_other_kinds_are_rejected(labels, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load(saved(tmp_path, images=IMAGES, labels=labels))


def test_files_that_cannot_be_used_are_named(tmp_path):
    (tmp_path / "text.npz").write_text("x")
    (tmp_path / "text.npy").write_text("x")
    np.save(tmp_path / "pickle.npy", np.array([{}]), allow_pickle=True)
    for name in ("text.npz", "text.npy", "pickle.npy", "none.npz"):
        with pytest.raises(DataError, match=name):
            load(tmp_path / name)
    with pytest.raises(DataError, match="has the arrays a; one of them must be named"):
        load(saved(tmp_path, a=IMAGES))
    with pytest.raises(ValueError, match="path is not set"):
        load_source("arrays")


def test_held_out_images_are_chosen_by_their_content(tmp_path):
    path = saved(tmp_path, images=IMAGES, labels=LABELS)
    train, test = (load(path, split=s, held_out=0.3) for s in ("train", "test"))
    assert 4 <= len(test) <= 20
    assert len(train) + len(test) == 40
    for source in (train, test):
        for image, label in zip(source.images, source.labels, strict=True):
            (row,) = np.flatnonzero(np.all(image == IMAGES, (1, 2, 3)))
            assert LABELS[row] == label


MODULE = """
import numpy as np
IMAGES = np.random.RandomState(0).randint(0, 256, (40, 8, 8, 3), np.uint8)

def pictures(*, dark=False, count: int = 40):
    return IMAGES[:count] // (2 if dark else 1)

def with_splits(*, split, seed=0):
    return IMAGES[:30] if split == "train" else IMAGES[30:]

def table(*, columns: int = 5):
    return np.arange(40.0 * columns).reshape(40, columns), np.arange(40) % 3

def series():
    return [np.full((6, 2), i, np.float16) for i in range(40)]

class Pairs:
    def __len__(self):
        return 40
    def __getitem__(self, index):
        return IMAGES[index], index % 3

class Records(Pairs):
    def __getitem__(self, index):
        return {"image": IMAGES[index], "label": index % 3}

not_a_function = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "own_pictures.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "own_pictures"
    sys.modules.pop("own_pictures", None)


def test_function_returns_images(module):
    source = load_source(f"{module}:pictures")
    np.testing.assert_array_equal(source.images, IMAGES)
    dark = load_source(f"{module}:pictures", dark=True, count=7, split="train[2:]")
    np.testing.assert_array_equal(dark.images, IMAGES[2:7] // 2)
    with pytest.raises(ValueError, match="has no option 'size'"):
        load_source(f"{module}:pictures", size=3)
    with pytest.raises(ValueError, match="'test' is not valid"):
        load_source(f"{module}:pictures", split="test")


def test_function_returns_values_that_are_not_images(module):
    source = load_source(f"{module}:table", columns=3, split="train[1:]")
    assert source.images.dtype == np.float32
    np.testing.assert_array_equal(source.images[:, 0], 3.0 * np.arange(1, 40))
    np.testing.assert_array_equal(source.labels, LABELS[1:])
    series = load_source(f"{module}:series")
    assert series.example_shape == (6, 2)
    np.testing.assert_array_equal(series.images[:, 5, 1], np.arange(40))


def test_axes_and_range_tell_series_from_gray_images(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES[..., 0] / 255)
    assert load(tmp_path / "x.npy").example_shape == (8, 8)
    gray = load(tmp_path / "x.npy", low=0.0, high=1.0)
    np.testing.assert_array_equal(gray.images, IMAGES[..., :1])
    with pytest.raises(DataError, match="low and high must be set"):
        load(tmp_path / "x.npy", low=0.0)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 4, 1)])
def test_sources_have_images_or_values(shape):
    with pytest.raises(ValueError, match=r"float32 \[n, D\], \[n, T, C\] or"):
        Source(name="a", split="train", images=np.zeros(shape, np.float32))


def test_function_receives_the_split(module):
    for split, expected in (("train", IMAGES[:30]), ("test", IMAGES[30:])):
        source = load_source(f"{module}:with_splits", split=split)
        np.testing.assert_array_equal(source.images, expected)


@pytest.mark.parametrize("name", ["Pairs", "Records"])
def test_indexable_objects_are_collected(name, module):
    source = load_source(f"{module}:{name}")
    np.testing.assert_array_equal(source.images, IMAGES)
    np.testing.assert_array_equal(source.labels, LABELS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module:x", "cannot be imported"),
        ("own_pictures:x", "cannot be imported"),
        ("own_pictures:not_a_function", "is not a function"),
    ],
)
def test_names_that_cannot_be_imported_are_reported(name, message, module):
    with pytest.raises(ValueError, match=message):
        load_source(name)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (3, "returned int; it must return images"),
        ([], "has no images"),
        ([{"img": 1}], "has the keys img; one of them must be image"),
        ([IMAGES[0], IMAGES[0, :4]], r"image 1 has the shape \[4, 8, 3\]"),
        ([(IMAGES[0], 1), {"image": IMAGES[1]}], "1 of 2 images have a label"),
    ],
)
def test_objects_of_other_kinds_are_rejected(found, message):
    with pytest.raises(DataError, match=message):
        from_object(found, "own", "train")


def test_sources_are_returned_unchanged():
    source = Source(name="a", split="train", images=IMAGES)
    assert from_object(source, "own", "train") is source


def test_command_line_trains_on_a_function(module, tmp_path, capsys):
    fields = {
        "dataset.name": f"{module}:pictures",
        "dataset.dark": "True",
        "training.iterations": "2",
        "training.batch_size": "8",
        "evaluation": "None",
        "generator.width": "4",
        "critic.width": "4",
        "samples.every": "2",
    }
    arguments = [f"--config.{name}={text}" for name, text in fields.items()]
    arguments += ["--config=digits_wgan_gp", f"--workdir={tmp_path / 'run'}"]
    status = main(["wgan-jax", "train", *arguments])
    assert status == 0, capsys.readouterr().err
    assert (tmp_path / "run" / "samples" / "step_00000002.png").exists()
    wrong = [a.replace("dataset.dark", "dataset.drak") for a in arguments]
    assert main(["wgan-jax", "train", *wrong]) == 2
    assert "did you mean dark?" in capsys.readouterr().err
