"""Classes of pictures, by their folders or by a file of labels."""

import csv
import io
import reprlib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from wgan_jax.data.files import check_file, is_picture
from wgan_jax.data.source import MOST_CLASSES
from wgan_jax.errors import DataError
from wgan_jax.io.json_text import parse_json

_DIGITS = len(str(MOST_CLASSES))


def folder_labels(names: Sequence[str]) -> tuple[list[int], list[str]] | None:
    """Returns the classes of pictures by their top-level folder.

    Args:
        names: names of the pictures.

    Returns:
        The label of each picture and the names of the classes, sorted; None
        unless all pictures are in at least two folders.
    """
    parts = [PurePosixPath(name).parts for name in names]
    if any(len(part) < 2 for part in parts):
        return None
    classes = sorted({part[0] for part in parts})
    if len(classes) < 2:
        return None
    index = {name: i for i, name in enumerate(classes)}
    return [index[part[0]] for part in parts], classes


def file_labels(
    path: Path, names: Sequence[str], skipped: Collection[str] = ()
) -> tuple[list[int], list[str]]:
    """Returns the classes of pictures by a file of labels.

    Args:
        path: a CSV file with the columns file and label, with or without a
            header; or a JSON file with ``{"file": label}``, or
            ``{"labels": [["file", label], ...]}`` as written for StyleGAN.
            Files are named relative to the folder of the pictures. Labels are
            texts or whole numbers.
        names: names of the pictures.
        skipped: names of pictures that are left out; their labels are ignored.

    Returns:
        The label of each picture and the names of the classes: those of the
        numbers 0 to the largest if all labels are whole numbers, else the
        sorted texts.

    Raises:
        DataError: if the file cannot be read, lacks a picture, names a missing
            one, has two labels for one, or a label of another type or range.
    """
    found: dict[str, str] = {}
    ignored = set(skipped)
    for name, value in _pairs(path):
        if name in ignored:
            continue
        label = _text(path, name, value)
        if found.setdefault(name, label) != label:
            raise DataError(
                f"{path} has two labels for {name}: {found[name]} and {label}."
            )
    known = set(names)
    missing = [name for name in names if not found.get(name)]
    if missing:
        raise DataError(f"{path} has no label for {missing[0]}{_others(missing)}.")
    absent = [name for name in found if name not in known]
    if absent:
        raise DataError(
            f"{path} has a label for {absent[0]}{_others(absent)}, which is not among "
            "the pictures."
        )
    texts = set(found.values())
    if all(text.removeprefix("-").isdecimal() for text in texts):
        numbers = {name: _number(path, name, text) for name, text in found.items()}
        count = max(numbers.values()) + 1
        return [numbers[name] for name in names], [str(i) for i in range(count)]
    classes = sorted(texts)
    index = {name: i for i, name in enumerate(classes)}
    return [index[found[name]] for name in names], classes


def _others(names: Sequence[str]) -> str:
    left = len(names) - 1
    return f" and {left} other{'s' if left > 1 else ''}" if left else ""


def _text(path: Path, name: str, value: Any) -> str:
    """Returns a label as a text."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value).strip()
    raise DataError(
        f"{path} has the label {reprlib.repr(value)} for {name}; it must be a text or "
        "a whole number."
    )


def _number(path: Path, name: str, text: str) -> int:
    """Returns a label that is a whole number."""
    # The length first, because int refuses a text of thousands of digits.
    if len(text.lstrip("0")) <= _DIGITS and 0 <= int(text) < MOST_CLASSES:
        return int(text)
    raise DataError(
        f"{path} has the label {text[:20]} for {name}; labels that are numbers must be "
        f"from 0, and below {MOST_CLASSES:,}."
    )


def _pairs(path: Path) -> list[tuple[str, Any]]:
    """Returns names and labels as they are in a file."""
    check_file(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return _json_pairs(text) if path.suffix.lower() == ".json" else _csv_pairs(text)
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path} cannot be read as a file of labels ({reason}); it must be a CSV "
            "file with the columns file and label, or a JSON file, in UTF-8."
        ) from error


def _csv_pairs(text: str) -> list[tuple[str, Any]]:
    pairs = []
    rows = csv.reader(io.StringIO(text, newline=""))
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if len(cells) != 2:
            columns = f"{len(cells)} column{'s' if len(cells) > 1 else ''}"
            raise ValueError(
                f"line {rows.line_num} has {columns}, and not 2, separated by commas"
            )
        pairs.append((cells[0], cells[1]))
    return pairs[1:] if pairs and not is_picture(pairs[0][0]) else pairs


def _json_pairs(text: str) -> list[tuple[str, Any]]:
    # Objects become tuples of pairs, because a dict hides a name that is there twice.
    content = parse_json(text, object_pairs_hook=tuple)
    if isinstance(content, tuple):
        labels = dict(content).get("labels")
        content = labels if isinstance(labels, list) else content
    if not isinstance(content, Iterable) or not all(map(_is_pair, content)):
        raise ValueError("it has no pairs of a file and a label")
    return [(name, label) for name, label in content]


def _is_pair(found: Any) -> bool:
    is_two = isinstance(found, list | tuple) and len(found) == 2
    return is_two and isinstance(found[0], str)
