"""Training sets that are refused, and bad inputs on the command line."""

import io
import sys

import numpy as np
import pytest
from bad_inputs import PNG_A, THREE, colors, encode, flat, pictures, put

from wgan_jax.data import Source, load_source
from wgan_jax.data.checks import check_training_set
from wgan_jax.data.convertible import from_pictures
from wgan_jax.data.converting import convert
from wgan_jax.data.pictures import Conversion
from wgan_jax.errors import DataError
from wgan_jax.program.cli import main

EQUAL = np.repeat(colors(1), 5, 0)
LABELS = np.int32([0, 1, 0, 1, 0])


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    return tmp_path / "run"


def source(images, labels=None, **provenance):
    classes = None if labels is None else 3
    return Source("own", "train", images, labels, classes, provenance)


def with_last(value):
    images = EQUAL.copy()
    images[-1, -1, -1, -1] ^= value
    return images


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (EQUAL, "'own' split 'train' has 5 examples that are all equal; training"),
        (EQUAL[:1], "'own' split 'train' has one example; training needs different"),
        (np.zeros((4, 2), np.float32), "has 4 examples that are all equal"),
    ],
)
def test_equal_examples_are_refused(images, message):
    with pytest.raises(DataError, match=message):
        check_training_set(source(images), labels=False)


@pytest.mark.parametrize("images", [with_last(1), colors(2), EQUAL[:0]])
def test_different_examples_are_accepted(images):
    check_training_set(source(images), labels=False)


def test_the_search_ends_at_the_first_that_differs():
    class Once(np.ndarray):
        def __iter__(self):
            yield self[0]
            raise AssertionError("the other images were read")

    check_training_set(source(colors(5).view(Once)), labels=False)


def test_one_label_is_refused_only_if_labels_are_used():
    one = source(colors(5), LABELS * 0 + 2)
    with pytest.raises(DataError, match="5 examples that all have the label 2; train"):
        check_training_set(one, labels=True)
    named = source(colors(5), LABELS * 0 + 2, class_names=["ant", "bee", "cat"])
    with pytest.raises(DataError, match=r"all have the label 2 \(cat\); training by"):
        check_training_set(named, labels=True)
    check_training_set(one, labels=False)
    check_training_set(source(colors(5), LABELS), labels=True)
    check_training_set(source(colors(5)), labels=True)


@pytest.mark.parametrize("limit", [1, 4096])
def test_converted_pictures_are_compared_by_their_pixels(place, limit):
    # The same pixels in files that differ.
    files = {f"{i}.png": encode(flat(1, 2, 3), compress_level=i) for i in range(3)}
    for name, more in (("equal", {}), ("different", {"x.png": PNG_A})):
        path = pictures(files | more)(place).rename(place / f"{name}-pictures")
        convert(from_pictures(path, conversion=Conversion(size=512)), place / name)
    different, equal = (
        load_source("folder", path=str(place / name), memory_limit=limit)
        for name in ("different", "equal")
    )
    check_training_set(different, labels=False)
    with pytest.raises(DataError, match="3 examples that are all equal"):
        check_training_set(equal, labels=False)


FUNCTION = """
import numpy as np

def equal():
    return np.zeros((64, 8, 8, 3), np.uint8)
"""
TRAIN = ["train", "--config=folder_fast", "--workdir=new"]


def training(files, *fields, others=None):
    """A command that trains on a folder of files."""

    def write(folder):
        put(folder, others or {})
        pictures(files)(folder)
        given = ["path=pictures", "size=8", *fields]
        return [*TRAIN, *(f"--config.dataset.{field}" for field in given)]

    return write


def on_arrays(*fields, **arrays):
    def write(folder):
        np.savez(folder / "x.npz", **arrays)
        given = ["name=arrays", "path=x.npz", *fields]
        given = [f"--config.dataset.{field}" for field in given]
        return ["train", "--config=digits_wgan_gp", "--workdir=new", *given]

    return write


def on_function(folder):
    put(folder, {"equal_pictures.py": FUNCTION.encode()})
    given = "--config.dataset.name=equal_pictures:equal"
    return ["train", "--config=digits_wgan_gp", "--workdir=new", given]


def command(*arguments, files=THREE):
    return lambda folder: pictures(files)(folder) and list(arguments)


SAME = {f"{i:02d}.png": PNG_A for i in range(70)}
MANY = {f"{i:02d}.png": encode(colors(seed=i)) for i in range(70)}
IN_ONE = {f"cat/{name}": content for name, content in MANY.items()}
ONE_LABEL = "".join(f"{name},cat\n" for name in MANY).encode()
COMMANDS = {
    "no path": (lambda _: TRAIN, "config.dataset: path is not set; it must be a fold"),
    "no folder": (lambda _: [*TRAIN, "--config.dataset.path=no"], "no does not exist."),
    "no size": (
        training(THREE | {"x.png": encode(colors(size=(4, 6)))}, "size=None"),
        "pictures are not squares of one size (000.png is 8 x 8, x.png is 6 x 4). Set "
        "--config.dataset.size",
    ),
    "broken picture": (
        training(THREE | {"001.png": b"x"}),
        "pictures/001.png cannot be used: it is not a picture",
    ),
    "fewer pictures than a batch": (
        training(THREE),
        "config.training.batch_size: batch_size is 64; it must be in 1 to 3, the "
        "number of examples in 'folder' split 'train'.",
    ),
    "classes without folders": (
        training(MANY, "labels=True"),
        "config.dataset.labels is True, but 'folder' has no labels; it must be False.",
    ),
    "folder of one class": (
        training(IN_ONE, "labels=True"),
        "config.dataset.labels is True, but 'folder' has no labels; it must be False.",
    ),
    "one class in a file of labels": (
        training(MANY, "labels=True", "label_file=l.csv", others={"l.csv": ONE_LABEL}),
        "'folder' split 'train' has 70 examples that all have the label 0 (cat); "
        "training by class needs at least two. Use --config.dataset.labels=False.",
    ),
    "one class in an array": (
        on_arrays("labels=True", images=colors(70), labels=np.full(70, 3)),
        "'arrays' split 'train' has 70 examples that all have the label 3; training",
    ),
    "equal pictures": (
        training(SAME),
        "'folder' split 'train' has 70 examples that are all equal; training needs",
    ),
    "equal arrays": (
        on_arrays(images=np.zeros((70, 8, 8, 1), np.uint8)),
        "'arrays' split 'train' has 70 examples that are all equal; training needs",
    ),
    "equal pictures of a function": (on_function, "64 examples that are all equal"),
    "inspect a home folder": (
        command("data", "inspect", "~nobody-at-all/x"),
        "~nobody-at-all/x does not exist.",
    ),
    "inspect a device": (
        command("data", "inspect", "/dev/zero"),
        "/dev/zero is neither a folder nor an archive",
    ),
    "convert a broken picture": (
        command(
            *("data", "convert", "pictures", "converted", "--size=8"),
            files=THREE | {"001.png": b"x"},
        ),
        "pictures/001.png cannot be used: it is not a picture",
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_line_says_it_in_one_line(name, place, capsys):
    write, message = COMMANDS[name]
    assert main(["wgan-jax", *write(place)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wgan-jax: ")
    assert message in line
    assert not (place / "new").exists()


def test_names_are_printed_in_any_encoding(place, monkeypatch):
    pictures({"写真/a.png": PNG_A, "b/b.png": encode(colors(seed=1))})(place)
    (place / "pictures").rename(place / "写真")
    shown = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert main(["wgan-jax", "data", "inspect", "写真", "--output=s.png"]) == 0
    shown.flush()
    text = shown.buffer.getvalue().decode("ascii")
    assert text.startswith("\\u5199\\u771f: 2 pictures\n")
    assert "classes: 2; b (1), \\u5199\\u771f (1)" in text


def test_names_that_are_not_utf8_are_printed(place, capsys):
    pictures({b"a\xff.png": PNG_A, "b\n.png": PNG_A, b"c\xfe.png": b"x"})(place)
    assert main(["wgan-jax", "data", "inspect", "pictures", "--output=s.png"]) == 0
    lines = capsys.readouterr().out.encode().decode().splitlines()
    assert "    a\\udcff.png = b\\n.png" in lines
    assert "    c\\udcfe.png (it is not a picture that can be read)" in lines
