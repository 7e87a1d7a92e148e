"""Cases of .npy and .npz files."""

import io
import os
import zipfile

import numpy as np
from bad_inputs import Case, colors, damaged, put

IMAGES = colors(6)
LABELS = np.arange(6) % 3
UNIT = IMAGES / 255
RGBA = IMAGES.repeat(2, axis=3)[..., :4]
TABLE = UNIT[0, 0]


def same(images=IMAGES, labels=None, classes=None):
    def check(source):
        assert source.images.dtype == np.uint8
        np.testing.assert_array_equal(source.images, images)
        found = None if source.labels is None else source.labels.tolist()
        assert found == (None if labels is None else list(labels))
        assert source.num_classes == classes

    return check


def values(array):
    def check(source):
        assert source.images.dtype == np.float32
        np.testing.assert_array_equal(source.images, array.astype(np.float32))

    return check


def npz(damage=None, **arrays):
    def write(folder):
        np.savez(folder / "x.npz", **arrays)
        return damaged(folder / "x.npz", damage)

    return write


def npy(array, name="x.npy", damage=None):
    def write(folder):
        with open(folder / name, "wb") as stream:
            np.save(stream, array)
        return damaged(folder / name, damage)

    return write


def arrays(name, write, *, error=None, check=None, **options):
    return Case(
        name, write, dataset="arrays", error=error, check=check, options=options
    )


def images(name, array, error=None, check=None, **options):
    """Images of an .npz file; the message names the file."""
    error = None if error is None else rf"x\.npz: .*{error}"
    return arrays(name, npz(images=array), error=error, check=check, **options)


def labels(name, array, error=None, check=None):
    error = None if error is None else rf"x\.npz: the labels {error}"
    return arrays(name, npz(images=IMAGES, labels=array), error=error, check=check)


def with_value(value):
    changed = UNIT.copy()
    changed[3, 2] = value
    return changed


class Dangerous:
    """Unpickling it makes a file in the current folder."""

    def __reduce__(self):
        return open, ("unpickled", "w")


def pickled(name):
    def write(folder):
        found = np.array([Dangerous(), None], object)
        with open(folder / name, "wb") as stream:
            if name.endswith("npy"):
                np.save(stream, found)
            else:
                np.savez(stream, images=found)
        return folder / name

    return write


def huge(name):
    """A small file whose header declares an exabyte."""
    head = io.BytesIO()
    about = {"descr": "|u1", "fortran_order": False, "shape": (2**50, 8, 8, 3)}
    np.lib.format.write_array_header_1_0(head, about)

    def write(folder):
        if name.endswith("npy"):
            return put(folder, {name: head.getvalue()}) / name
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("images.npy", head.getvalue())
        return folder / name

    return write


def raw(name, content=b"text"):
    return lambda folder: put(folder, {name: content}) / name


def made(make, name="x.npz"):
    return lambda folder: make(folder / name) or folder / name


UNREADABLE = r"cannot be read as an \.npz file \(\w+\).*numpy\.savez"
NOT_NPY = r"cannot be read as an \.npy file \(\w+\).*numpy\.save"
SHAPE = r"must be \[n, H, W, C\]"

CASES = [
    arrays("npz", npz(images=IMAGES, labels=LABELS), check=same(IMAGES, LABELS, 3)),
    arrays("npy", npy(IMAGES), check=same()),
    arrays("npy in upper case", npy(IMAGES, "x.NPY"), check=same()),
    images("gray", IMAGES[..., 0], check=same(IMAGES[..., :1])),
    images("fortran order", np.asfortranarray(IMAGES), check=same()),
    images(
        "floats in fortran order",
        np.asfortranarray(UNIT),
        check=same(),
        low=0.0,
        high=1.0,
    ),
    images(
        "floats of 16 bits",
        UNIT.astype(np.float16),
        low=0.0,
        high=1.0,
        check=same(np.rint(UNIT.astype(np.float16).astype(float) * 255)),
    ),
    images(
        "floats of another byte order",
        UNIT.astype(">f8"),
        check=same(),
        low=0.0,
        high=1.0,
    ),
    images("equal images", IMAGES[[0, 0]], check=same(IMAGES[[0, 0]])),
    arrays(
        "compressed",
        lambda folder: (
            np.savez_compressed(folder / "x.npz", images=IMAGES) or folder / "x.npz"
        ),
        check=same(),
    ),
    images("floats without a range", UNIT, "float64 from 0 to 1; low and high must"),
    images(
        "floats out of range",
        UNIT * 2,
        "from 0 to 2; they must be from low=0 to high=1",
        low=0.0,
        high=1.0,
    ),
    images("nan", with_value(np.nan), "not finite", low=0.0, high=1.0),
    images("nan without a range", with_value(np.nan), "not finite"),
    images("infinity", with_value(np.inf), "not finite", low=0.0, high=1.0),
    images("infinite range", UNIT, "low and high must be set", low=0.0, high=np.inf),
    images("range of nan", UNIT, "low and high must be set", low=np.nan, high=1.0),
    images("int64", IMAGES.astype(np.int64), "int64; they must be uint8"),
    images("int8", IMAGES.astype(np.int8), "int8; they must be uint8"),
    images("bool", IMAGES > 9, "bool; they must be uint8"),
    images("complex", UNIT + 0j, "complex128; they must be uint8"),
    images("texts", IMAGES.astype(str), "<U3; they must be uint8"),
    images(
        "channels first",
        IMAGES.transpose(0, 3, 1, 2),
        r"\[6, 3, 8, 8\]; .*Move the second axis to the end",
    ),
    images("a single rgb image", IMAGES[0], r"\[8, 8, 3\].*first axis"),
    images("a single gray image", IMAGES[0][..., :1], r"\[8, 8, 1\].*first axis"),
    images("a matrix", IMAGES[0, ..., 0], SHAPE),
    images("a number", np.uint8(3), SHAPE),
    images("five axes", IMAGES[None], SHAPE),
    images("rgba", RGBA, check=same(RGBA)),
    images("two channels", IMAGES[..., :2], "last axis must be 1 for gray, 3 for"),
    images("a single rgba image", np.zeros((8, 8, 4), np.uint8), "first axis"),
    images("a table", TABLE, check=values(TABLE)),
    images("series", UNIT[0], check=values(UNIT[0])),
    images("volumes", UNIT[None], check=values(UNIT[None])),
    images("a table with a range", TABLE, "no images; leave low", low=0.0, high=1.0),
    images("a table of nan", TABLE * np.nan, "not finite in float32"),
    images("a table beyond float32", TABLE * 1e300, "not finite in float32"),
    images("a table without rows", UNIT[0, 0, :0], "and no size 0"),
    images("a vector", UNIT[0, 0, 0], "floating-point .n, D."),
    images("no images", IMAGES[:0], rf"\[0, 8, 8, 3\]; it {SHAPE}"),
    images("images without rows", IMAGES[:, :0], SHAPE),
    images(
        "range for uint8", IMAGES, "uint8.*leave low and high unset", low=0.0, high=1.0
    ),
    labels("labels of int8", LABELS.astype(np.int8), check=same(IMAGES, LABELS, 3)),
    labels("one class", LABELS * 0, check=same(IMAGES, LABELS * 0, 1)),
    labels("class without examples", LABELS * 2, check=same(IMAGES, LABELS * 2, 5)),
    labels("too few labels", LABELS[:5], r"have the shape \[5\]; it must be \[6\]"),
    labels("too many labels", np.arange(7), r"have the shape \[7\]; it must be \[6\]"),
    labels("one-hot labels", np.eye(6)[LABELS], r"have the shape \[6, 6\]"),
    labels("no labels", LABELS[:0], r"have the shape \[0\]; it must be \[6\]"),
    labels("negative labels", LABELS - 1, "are int64 -1; .*whole numbers from 0"),
    labels("labels of fractions", LABELS + 0.5, "are float64 0.5; .*whole numbers"),
    labels("labels of floats", LABELS + 0.0, "are float64 0.0; .*whole numbers"),
    labels("labels of bool", LABELS > 0, "are bool; they must be whole numbers"),
    labels("labels of texts", LABELS.astype(str), "are <U.*must be whole numbers"),
    labels("huge labels", LABELS + 2**40, "are int64 1099511627778; .*below 65,536"),
    labels(
        "labels beyond int64",
        LABELS.astype(np.uint64) + np.uint64(2**63),
        "are uint64 .*below 65,536",
    ),
    arrays(
        "npz without images",
        npz(a=IMAGES, b=LABELS),
        error=r"x\.npz has the arrays a, b; one of them must be named images",
    ),
    arrays("empty npz", npz(), error=r"x\.npz has the arrays none; one of them must"),
    arrays(
        "damaged npz",
        npz(images=IMAGES, damage=lambda c: c[:-100]),
        error=rf"x\.npz {UNREADABLE}",
    ),
    arrays(
        "flipped bits in an npz",
        npz(images=IMAGES, damage=lambda c: c[:400] + bytes(9) + c[409:]),
        error=rf"x\.npz {UNREADABLE}",
    ),
    arrays(
        "cut npy", npy(IMAGES, damage=lambda c: c[:-100]), error=rf"x\.npy {NOT_NPY}"
    ),
    arrays(
        "npy with a damaged header",
        npy(IMAGES, damage=lambda c: c[:20] + b"(((" + c[23:]),
        error=rf"x\.npy {NOT_NPY}",
    ),
    arrays("pickled npz", pickled("x.npz"), error=rf"x\.npz {UNREADABLE}"),
    arrays("pickled npy", pickled("x.npy"), error=rf"x\.npy {NOT_NPY}"),
    arrays("npz of declared size", huge("x.npz"), error=rf"x\.npz {UNREADABLE}"),
    arrays("npy of declared size", huge("x.npy"), error=rf"x\.npy {NOT_NPY}"),
    arrays("npy named npz", npy(IMAGES, "x.npz"), error=rf"x\.npz {UNREADABLE}"),
    arrays(
        "npz named npy",
        lambda folder: npz(images=IMAGES)(folder).rename(folder / "x.npy"),
        error=rf"x\.npy {NOT_NPY}",
    ),
    arrays("text named npz", raw("x.npz"), error=rf"x\.npz {UNREADABLE}"),
    arrays("text named npy", raw("x.npy"), error=rf"x\.npy {NOT_NPY}"),
    arrays("zero bytes named npz", raw("x.npz", b""), error=rf"x\.npz {UNREADABLE}"),
    arrays("zero bytes named npy", raw("x.npy", b""), error=rf"x\.npy {NOT_NPY}"),
    arrays("file of another type", raw("x.mat"), error=rf"x\.mat {UNREADABLE}"),
    arrays(
        "no such file", lambda folder: "none.npz", error=r"none\.npz does not exist"
    ),
    arrays("folder named npz", made(os.mkdir), error=r"x\.npz is not a regular file"),
    arrays("pipe named npz", made(os.mkfifo), error=r"x\.npz is not a regular file"),
    arrays(
        "device for arrays",
        lambda folder: "/dev/zero",
        error="/dev/zero is not a regular file",
    ),
    arrays(
        "unknown home folder for arrays",
        lambda folder: "~nobody-at-all/x.npz",
        error=r"~nobody-at-all/x\.npz does not exist",
    ),
    arrays("test without held_out", npz(images=IMAGES), check=same()),
]
