"""Conversion of many images to files that are read one batch at a time."""

import collections
import errno
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.data.converted import (
    FORMAT,
    PLAN,
    SUMMARY,
    Converted,
    open_converted,
    read_shard,
    shard_name,
)
from wgan_jax.data.convertible import Convertible, Item
from wgan_jax.data.records import WRITER_OPTIONS, Entry, index_arrays
from wgan_jax.errors import DataError
from wgan_jax.io.files import PARTIAL, atomic_write, write_text
from wgan_jax.io.json_text import parse_json
from wgan_jax.io.machine import available_cores

SHARD = 4096  # images of one file; an interrupted conversion repeats at most as many

Progress = Callable[[int, int], None]


def convert(
    given: Convertible,
    folder: Path,
    *,
    progress: Progress = lambda done, total: None,
) -> Converted:
    """Converts images to files.

    An interrupted conversion goes on where it was when it is called again with
    the same arguments. A finished one is opened.

    Args:
        given: the images.
        folder: folder to write to; new, empty, or of the same conversion.
        progress: called with the number of images done and of all images.

    Returns:
        The converted images.

    Raises:
        DataError: if an image cannot be read, none can, the folder has other
            files, or it cannot be written to.
    """
    try:
        _claim(folder, _about(given))
        if not (folder / SUMMARY).is_file():
            _write_shards(given, folder, progress)
    except OSError as error:
        where = error.filename or folder
        raise DataError(f"{where} cannot be written ({error.strerror}).") from error
    return open_converted(folder)


def _about(given: Convertible) -> dict[str, Any]:
    """Returns what the files of a conversion depend on."""
    import PIL

    return {
        "format": FORMAT,
        "pillow": PIL.__version__,
        "shard": SHARD,
        "conversion": vars(given.conversion),
        **given.state,
    }


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Marks a folder as that of a conversion; raises DataError if it is another's."""
    plan = folder / PLAN
    if plan.is_file():
        try:
            known = parse_json(plan.read_text())
        except ValueError:
            known = None
        if known != json.loads(json.dumps(about)):
            raise DataError(
                f"{folder} has the conversion of other pictures, or with other "
                "options; use another folder, or delete it."
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder} is not empty; use a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    write_text(plan, json.dumps(about, indent=1) + "\n")


def _write_shards(given: Convertible, folder: Path, progress: Progress) -> None:
    """Writes the shards that are missing, and then the summary."""
    starts = range(0, given.count, SHARD)
    written = (folder / f"{shard_name(k)}.npz" for k in range(len(starts)))
    done = sum(1 for _ in itertools.takewhile(Path.is_file, written))
    items = given.read(done * SHARD)
    counts, skipped = list[int](), list[str]()
    for number, start in enumerate(starts):
        if number >= done:
            part = itertools.islice(items, SHARD)
            added = partial(_add, progress, start, given.count)
            _write_shard(folder / shard_name(number), part, added)
        shard = read_shard(folder, number)
        counts.append(len(shard.index.names))
        skipped += shard.skipped
        progress(min(start + SHARD, given.count), given.count)
    if not sum(counts):
        raise DataError(f"no picture in {given.where} is readable.")
    about = {
        "format": FORMAT,
        "conversion": vars(given.conversion),
        "shards": counts,
        "skipped": skipped,
        "origin": vars(given.origin),
    }
    write_text(folder / SUMMARY, json.dumps(about, indent=1) + "\n")


def _add(progress: Progress, start: int, total: int, count: int) -> None:
    progress(start + count, total)


def _write_shard(
    stem: Path, items: Iterable[Item], progress: Callable[[int], None]
) -> None:
    """Writes the images of one shard, and then their index."""
    from array_record.python.array_record_module import ArrayRecordWriter

    names, entries, labels = list[str](), list[Entry](), list[int]()
    skipped = list[str]()
    unfinished = stem.with_suffix(f".array_record{PARTIAL}")
    writer = ArrayRecordWriter(str(unfinished), WRITER_OPTIONS)
    try:
        for count, (item, image) in enumerate(_decoded(items), 1):
            progress(count)
            if image is None:
                skipped.append(item.name)
                continue
            writer.write(image.tobytes())
            names.append(item.name)
            entries.append(Entry.of(item.content, image))
            if item.label is not None:
                labels.append(item.label)
    finally:
        writer.close()
    _check_written(unfinished, len(names))
    unfinished.replace(stem.with_suffix(".array_record"))
    arrays = index_arrays(names, entries)
    arrays |= {"labels": np.array(labels, np.int32)} if labels else {}
    with atomic_write(stem.with_suffix(".npz")) as stream:
        np.savez(stream, skipped=np.array(skipped, np.str_), **arrays)


def _check_written(path: Path, count: int) -> None:
    """Raises OSError unless a file has all records; the writer hides a full disk."""
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(str(path))
        found = reader.num_records()
        reader.close()
    except (RuntimeError, ValueError):
        found = -1
    if found != count:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _decoded(items: Iterable[Item]) -> Iterator[tuple[Item, np.ndarray | None]]:
    """Yields items and their images, decoded ahead in threads; None if skipped."""
    threads = available_cores()
    pending: collections.deque[tuple[Item, Future[np.ndarray | None]]]
    pending = collections.deque()
    with ThreadPoolExecutor(threads) as executor:
        try:
            for item in items:
                pending.append((item, executor.submit(item.image)))
                if len(pending) > 4 * threads:
                    first, image = pending.popleft()
                    yield first, image.result()
            while pending:
                first, image = pending.popleft()
                yield first, image.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
