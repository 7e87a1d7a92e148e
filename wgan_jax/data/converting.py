"""Conversion of many pictures to files that are read one batch at a time."""

import collections
import errno
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.data.files import (
    PictureFile,
    find_pictures,
    picture_names,
    read_pictures,
    state,
    unreadable_error,
)
from wgan_jax.data.pictures import Conversion, decode
from wgan_jax.data.records import (
    FORMAT,
    PLAN,
    SUMMARY,
    WRITER_OPTIONS,
    Converted,
    Entry,
    index_arrays,
    open_converted,
    read_index,
    shard_name,
)
from wgan_jax.errors import DataError
from wgan_jax.io.files import PARTIAL, atomic_write, write_text

SHARD = 4096  # pictures of one file; an interrupted conversion repeats at most as many

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One conversion: from where, to where and how."""

    path: Path
    folder: Path
    conversion: Conversion
    skip: bool

    def about(self, names: list[str]) -> dict[str, Any]:
        """Returns what the files of the conversion depend on."""
        import PIL

        states = [state(file) for file in find_pictures(self.path)]
        listed = json.dumps([names, [(s.st_size, s.st_mtime_ns) for s in states]])
        return {
            "format": FORMAT,
            "pillow": PIL.__version__,
            "shard": SHARD,
            "skip": self.skip,
            "conversion": vars(self.conversion),
            "pictures": hashlib.sha256(listed.encode()).hexdigest(),
        }


def convert_pictures(
    path: Path,
    folder: Path,
    *,
    conversion: Conversion,
    unreadable: str = "error",
    progress: Progress = lambda done, total: None,
) -> Converted:
    """Converts the pictures of a folder or an archive.

    An interrupted conversion goes on where it was when it is called again with
    the same arguments. A finished one is opened.

    Args:
        path: a folder, or a zip or tar archive.
        folder: folder to write to; new, empty, or of the same conversion.
        conversion: how pictures become images.
        unreadable: ``error``, or ``skip`` to leave out files that cannot be
            decoded.
        progress: called with the number of pictures done and of all pictures.

    Returns:
        The converted pictures.

    Raises:
        DataError: if a picture cannot be read, none can, the folder has other
            files, or it cannot be written to.
    """
    task = _Task(
        path=path, folder=folder, conversion=conversion, skip=unreadable == "skip"
    )
    names = picture_names(path)
    try:
        _claim(folder, task.about(names))
        if not (folder / SUMMARY).is_file():
            _write_shards(task, len(names), progress)
    except OSError as error:
        where = error.filename or folder
        raise DataError(f"{where} cannot be written ({error.strerror}).") from error
    return open_converted(folder)


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Marks a folder as that of a conversion; raises DataError if it is another's."""
    plan = folder / PLAN
    if plan.is_file():
        try:
            known = json.loads(plan.read_text())
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


def _write_shards(task: _Task, total: int, progress: Progress) -> None:
    """Writes the shards that are missing, and then the summary."""
    starts = range(0, total, SHARD)
    written = (task.folder / f"{shard_name(k)}.npz" for k in range(len(starts)))
    done = sum(1 for _ in itertools.takewhile(Path.is_file, written))
    pictures = read_pictures(task.path, start=done * SHARD)
    counts, skipped = list[int](), list[str]()
    for number, start in enumerate(starts):
        if number >= done:
            part = itertools.islice(pictures, SHARD)
            _write_shard(task, number, part, partial(_add, progress, start, total))
        index, left = read_index(task.folder, number)
        counts.append(len(index.names))
        skipped += left
        progress(min(start + SHARD, total), total)
    if not sum(counts):
        raise DataError(f"no picture in {task.path} is readable.")
    about = {
        "format": FORMAT,
        "conversion": vars(task.conversion),
        "shards": counts,
        "skipped": skipped,
    }
    write_text(task.folder / SUMMARY, json.dumps(about, indent=1) + "\n")


def _add(progress: Progress, start: int, total: int, count: int) -> None:
    progress(start + count, total)


def _write_shard(
    task: _Task,
    number: int,
    pictures: Iterable[PictureFile],
    progress: Callable[[int], None],
) -> None:
    """Writes the images of one shard, and then their index."""
    from array_record.python.array_record_module import ArrayRecordWriter

    names, entries, skipped = list[str](), list[Entry](), list[str]()
    stem = task.folder / shard_name(number)
    unfinished = stem.with_suffix(f".array_record{PARTIAL}")
    writer = ArrayRecordWriter(str(unfinished), WRITER_OPTIONS)
    try:
        for count, (file, image) in enumerate(_decoded(task, pictures), 1):
            progress(count)
            if image is None:
                skipped.append(file.name)
                continue
            writer.write(image.tobytes())
            names.append(file.name)
            entries.append(Entry.of(file.content, image))
    finally:
        writer.close()
    _check_written(unfinished, len(names))
    unfinished.replace(stem.with_suffix(".array_record"))
    with atomic_write(stem.with_suffix(".npz")) as stream:
        np.savez(
            stream, skipped=np.array(skipped, np.str_), **index_arrays(names, entries)
        )


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


def _decoded(
    task: _Task, pictures: Iterable[PictureFile]
) -> Iterator[tuple[PictureFile, np.ndarray | None]]:
    """Yields pictures and their images, decoded ahead in threads; None if skipped."""

    def attempt(file: PictureFile) -> np.ndarray | None:
        try:
            return decode(file.content, task.conversion)
        except ValueError as error:
            if task.skip:
                return None
            raise unreadable_error(task.path, file.name, error) from error

    threads = len(os.sched_getaffinity(0))
    pending: collections.deque[tuple[PictureFile, Future[np.ndarray | None]]]
    pending = collections.deque()
    with ThreadPoolExecutor(threads) as executor:
        try:
            for file in pictures:
                pending.append((file, executor.submit(attempt, file)))
                if len(pending) > 4 * threads:
                    first, image = pending.popleft()
                    yield first, image.result()
            while pending:
                first, image = pending.popleft()
                yield first, image.result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
