"""Case of an input, and what writes pictures, archives and labels for it."""

import io
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from wgan_jax.data import Source

SIDE = 8


@dataclass(frozen=True)
class Case:
    """An input, and what loading it must do.

    Attributes:
        name: name of the case.
        write: writes the input in an empty folder, which is also the current
            one, and returns its path.
        error: regular expression of the message of the DataError; None if the
            input is loaded.
        check: takes the loaded source, and asserts its values.
        dataset: name of the dataset.
        options: options of the dataset.
        skipped: number of pictures that are loaded with ``unreadable=skip``
            instead of the error; None if that is an error as well.
    """

    name: str
    write: Callable[[Path], Path | str]
    error: str | None = None
    check: Callable[[Source], None] | None = None
    dataset: str = "folder"
    options: Mapping[str, Any] = field(default_factory=dict)
    skipped: int | None = None

    def __post_init__(self):
        assert (self.error is None) != (self.check is None), self.name


def colors(count=None, size=(SIDE, SIDE), seed=0):
    """Returns random RGB pictures, or one without a count."""
    shape = (count or 1, *size, 3)
    found = np.random.RandomState(seed).randint(0, 256, shape, np.uint8)
    return found if count else found[0]


def flat(*color, size=(SIDE, SIDE)):
    """Returns a picture of one color."""
    return np.full((*size, len(color)), color, np.uint8)


def encode(picture, form="PNG", **options):
    """Returns the content of a file with a picture, an array or an Image."""
    stream = io.BytesIO()
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(picture)
    picture.save(stream, form, **options)
    return stream.getvalue()


A, B, C = colors(3)
PNG_A, PNG_B, PNG_C = (encode(picture) for picture in (A, B, C))
THREE = {"000.png": PNG_A, "001.png": PNG_B, "002.png": PNG_C}


def put(folder, files):
    """Writes files below a folder; names may be bytes."""
    for name, content in files.items():
        path = folder / (name if isinstance(name, str) else name.decode(*ESCAPED))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


ESCAPED = ("utf-8", "surrogateescape")


def pictures(files, then=None):
    """Returns what writes a folder of files, and calls ``then`` with the folder."""

    def write(folder):
        (folder / "pictures").mkdir()
        put(folder / "pictures", files)
        if then is not None:
            then(folder / "pictures")
        return folder / "pictures"

    return write


def shows(*expected, labels=None, classes=None):
    """Returns a check of all images and labels."""

    def check(source):
        found = np.asarray(source.images[:])
        wanted = np.stack([np.atleast_3d(picture) for picture in expected])
        np.testing.assert_array_equal(found, wanted)
        found_labels = None if source.labels is None else source.labels.tolist()
        assert found_labels == labels
        assert source.record().get("class_names") == classes

    return check


def zip_file(members, name="x.zip", damage=None, **options):
    """Returns what writes a zip archive of (name or ZipInfo, content)."""

    def write(folder):
        with warnings.catch_warnings(), zipfile.ZipFile(folder / name, "w") as archive:
            warnings.simplefilter("ignore")  # of names that are there twice
            for member, content in listed(members):
                archive.writestr(member, content, **options)
        return damaged(folder / name, damage)

    return write


def tar_file(members, name="x.tar", damage=None):
    """Returns what writes a tar archive of (name or TarInfo, content)."""

    def write(folder):
        mode = {".tgz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}
        mode = mode.get(Path(name).suffix, "w")
        with tarfile.open(folder / name, mode) as archive:
            for member, content in listed(members):
                if not isinstance(member, tarfile.TarInfo):
                    member = tarfile.TarInfo(member)
                    member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return damaged(folder / name, damage)

    return write


def listed(members):
    return members.items() if isinstance(members, Mapping) else members


def damaged(path, damage):
    """Replaces the content of a file by a function of it."""
    if damage is not None:
        path.write_bytes(damage(path.read_bytes()))
    return path


def tar_link(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info
