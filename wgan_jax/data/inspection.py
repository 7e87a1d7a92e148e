"""Looks through pictures before training, and says what is in them."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wgan_jax.data.files import other_files, read_pictures
from wgan_jax.data.labels import folder_labels
from wgan_jax.data.pictures import Conversion, Header, decode, read_header

_SHEET = 100  # pictures on the contact sheet
_SIDE = 64  # pixels of each
_LARGEST = 128  # pixels; side of the largest images that are suggested
_SMALLEST = 8


@dataclass
class Inspection:
    """What is in the pictures of a folder or an archive.

    Attributes:
        path: the folder or the archive.
        headers: header of each readable picture, by name.
        unreadable: why each other picture cannot be decoded, by name.
        copies: groups of names with equal content, of two or more each.
        classes: number of readable pictures of each class; empty unless the
            top-level folders are classes.
        others: number of files that are not read, by suffix.
        sheet: uint8 ``[m, 64, 64, 3]``, readable pictures at equal distances.
    """

    path: Path
    headers: dict[str, Header]
    unreadable: dict[str, str]
    copies: list[list[str]]
    classes: dict[str, int]
    others: dict[str, int]
    sheet: np.ndarray = field(repr=False)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """Number of pictures of each width and height."""
        return Counter((h.width, h.height) for h in self.headers.values())

    @property
    def suggested_size(self) -> int:
        """The largest power of two, 8 to 128, that half of the pictures reach."""
        sides = [min(h.width, h.height) for h in self.headers.values()]
        size = _LARGEST
        while size > _SMALLEST and size > np.median(sides):
            size //= 2
        return size

    def overrides(self) -> dict[str, str]:
        """Returns the fields of a config that fit the pictures, as texts."""
        found = {"dataset.path": str(self.path)}
        found["dataset.size"] = str(self.suggested_size)
        if self.unreadable:
            found["dataset.unreadable"] = "skip"
        if self.classes:
            found["dataset.labels"] = "True"
            found["critic.head"] = "projection"
        return found


def inspect_pictures(path: Path) -> Inspection:
    """Decodes every picture of a folder or an archive.

    Args:
        path: a folder, or a zip or tar archive.

    Returns:
        What is in it.

    Raises:
        DataError: if there is no such path, it has no pictures, or it cannot be
            read.
    """
    headers: dict[str, Header] = {}
    unreadable: dict[str, str] = {}
    names_of: dict[str, list[str]] = {}
    small: list[np.ndarray] = []
    stride = 1
    conversion = Conversion(size=_SIDE)
    for file in read_pictures(path):
        try:
            header = read_header(file.content)
            picture = decode(file.content, conversion)
        except ValueError as error:
            unreadable[file.name] = str(error)
            continue
        if len(headers) % stride == 0:
            small.append(picture)
        if len(small) == 2 * _SHEET:  # the number of pictures is not known before
            small, stride = small[::2], 2 * stride
        headers[file.name] = header
        digest = hashlib.sha256(file.content).hexdigest()
        names_of.setdefault(digest, []).append(file.name)
    labels = folder_labels(list(headers))
    classes: dict[str, int] = {}
    if labels is not None:
        counts = Counter(labels[0])
        classes = {name: counts[i] for i, name in enumerate(labels[1])}
    square = (_SIDE, _SIDE, 3)
    shown = np.linspace(0, len(small) - 1, min(_SHEET, len(small))).astype(int)
    return Inspection(
        path=path,
        headers=headers,
        unreadable=unreadable,
        copies=[names for names in names_of.values() if len(names) > 1],
        classes=classes,
        others=other_files(path),
        sheet=np.array([small[i] for i in shown], np.uint8).reshape(-1, *square),
    )
