"""Bad and unusual inputs: each is loaded as documented, or is one clear error.

Whatever happens, nothing is written but the cache, and no file stays open.
"""

import collections
import contextlib
import dataclasses
import errno
import os
import re
import shutil
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import bad_archives
import bad_arrays
import bad_labels
import bad_names
import bad_pictures
import numpy as np
import pytest
from bad_archives import in_directory
from bad_inputs import PNG_A, SIDE, THREE, pictures, tar_file, zip_file

import wgan_jax.data.folder
from wgan_jax.data import archives, load_source
from wgan_jax.data.convertible import from_pictures
from wgan_jax.data.converting import convert
from wgan_jax.data.inspection import inspect_pictures
from wgan_jax.data.pictures import Conversion
from wgan_jax.errors import DataError
from wgan_jax.io.files import expanded
from wgan_jax.program.data import described

CASES = [
    case
    for table in (bad_pictures, bad_names, bad_archives, bad_labels, bad_arrays)
    for case in table.CASES
]
pytestmark = [
    pytest.mark.timeout(30),  # a pipe or a device must not be waited for
    # Pillow warns of damaged metadata that are not needed.
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def imported():
    """What is imported at the first use opens files itself."""
    for dataset in ("folder", "arrays"):
        with pytest.raises(DataError):
            load_source(dataset, path="/no such file", split="train")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder, which is the current one; all that could be written is near."""
    folders = {name: tmp_path / name for name in ("run", "cache", "home", "temporary")}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.chdir(folders["run"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(folders["cache"]))
    monkeypatch.setenv("HOME", str(folders["home"]))
    monkeypatch.setattr(tempfile, "tempdir", str(folders["temporary"]))
    return folders["run"]


def written(place):
    """Returns the state of all files, those of the cache excepted."""
    states = {}
    for root, folders, files in os.walk(os.fsencode(place.parent)):
        folders[:] = [name for name in folders if name != b"cache"]
        for name in [*folders, *files]:
            path = os.path.join(root, name)
            found = os.lstat(path)
            states[path] = (found.st_mode, found.st_size, found.st_mtime_ns)
    return states


def opened():
    """Returns how often this process has each file open."""
    found = collections.Counter()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the list itself
            found[os.readlink(f"/proc/self/fd/{number}")] += 1
    return found


def outcome(function, *args, **options):
    """Returns the result of a call and None, or None and the message of its error."""
    try:
        return function(*args, **options), None
    except DataError as error:
        return None, str(error)


def check_message(message, pattern=""):
    assert message is not None
    assert message.isprintable(), ascii(message)
    assert message.endswith(".")
    assert re.search(pattern, message), message


def load(case, path, **options):
    return load_source(case.dataset, path=str(path), **{**case.options, **options})


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_input(case, place):
    path = case.write(place)
    before, files = written(place), opened()
    source, message = outcome(load, case, path)
    if case.error is None:
        assert message is None
        case.check(source)
        again = load(case, path)  # from the cache
        case.check(again)
        assert again.record() == source.record()
    else:
        check_message(message, case.error)
        if case.skipped is not None:
            assert len(load(case, path, unreadable="skip")) == case.skipped
    assert not opened() - files  # some of another test may be closed meanwhile
    assert written(place) == before
    kept = [p for p in (place.parent / "cache").rglob("*") if p.is_file()]
    assert {p.suffix for p in kept} <= {".npz"}


FOLDERS = [
    case
    for case in CASES
    if case.dataset == "folder" and "label_file" not in case.options
]


@pytest.mark.parametrize("case", FOLDERS, ids=[case.name for case in FOLDERS])
def test_input_is_inspected(case, place):
    path = expanded(str(case.write(place)))
    before, files = written(place), opened()
    found, message = outcome(inspect_pictures, path)
    if found is None:
        check_message(message)
        assert case.error is not None
    else:
        lines = described(found)
        assert all(line.isprintable() for line in lines)
    assert not opened() - files
    assert written(place) == before


@pytest.mark.parametrize("case", FOLDERS, ids=[case.name for case in FOLDERS])
def test_input_is_converted(case, place):
    path, target = expanded(str(case.write(place))), place.parent / "converted"
    before = written(place)
    source = outcome(load, case, path)[0]
    fields = [field.name for field in dataclasses.fields(Conversion)]
    kind = {k: v for k, v in case.options.items() if k in fields}
    others = {k: v for k, v in case.options.items() if k not in ("size", "channels")}
    if source is not None:
        kind |= {"size": source.images.shape[1], "channels": source.images.shape[3]}
    skip = others.pop("unreadable", "error")
    conversion = Conversion(**{"size": SIDE} | kind)
    found, message = outcome(
        lambda: convert(
            from_pictures(path, conversion=conversion, unreadable=skip), target
        )
    )
    if found is None:
        check_message(message)
        assert source is None
    elif source is not None:
        again = load_source("folder", path=str(target), **others)
        np.testing.assert_array_equal(again.images[:], source.images)
        assert again.record().get("class_names") == source.record().get("class_names")
    assert not any(file.startswith(str(place)) for file in opened())
    after = {k: v for k, v in written(place).items() if b"/converted" not in k}
    assert after == before


def denied(*_, **__):
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "sub")


def test_file_without_permission_is_named(place, monkeypatch):
    path = pictures(THREE)(place)
    monkeypatch.setattr(Path, "read_bytes", denied)  # the superuser may read all
    _, message = outcome(load_source, "folder", path=str(path), size=SIDE)
    check_message(message, r"pictures/000\.png cannot be read \(Permission denied\)")
    skipped = {"size": SIDE, "unreadable": "skip"}
    _, message = outcome(load_source, "folder", path=str(path), **skipped)
    check_message(message, r"000\.png cannot be read .* Make it readable, or remove it")


def test_subfolder_without_permission_is_named(place, monkeypatch):
    path = pictures({"a.png": PNG_A})(place)
    monkeypatch.setattr(os, "scandir", denied)
    _, message = outcome(load_source, "folder", path=str(path))
    check_message(message, r"sub cannot be read \(Permission denied\)")


@pytest.mark.parametrize("size", [None, SIDE])
def test_folder_that_disappears_is_named(size, place, monkeypatch):
    path = pictures(THREE)(place)
    function = "read_header" if size is None else "decode"
    original = getattr(wgan_jax.data.folder, function)

    def remove_first(*arguments):
        shutil.rmtree(path)
        return original(*arguments)

    monkeypatch.setattr(wgan_jax.data.folder, function, remove_first)
    _, message = outcome(load_source, "folder", path=str(path), size=size, channels=3)
    check_message(message, r"pictures/001\.png does not exist")


def test_members_that_expand_are_not_read_to_their_end(place, monkeypatch):
    members = {"a.png": bytes(10**6)}
    compressed = {"compress_type": zipfile.ZIP_DEFLATED}
    zipped = zip_file(members, **compressed)(place)
    assert zipped.stat().st_size < 2000
    # The directory declares fewer bytes than there are.
    shorter = in_directory(24, "<I", 1000)
    short = zip_file(members, "short.zip", damage=shorter, **compressed)(place)
    tracemalloc.start()
    _, message = outcome(load_source, "folder", path=str(short))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 500_000
    check_message(message, r"short\.zip cannot be read \(Bad CRC-32 ")
    monkeypatch.setattr(archives, "LARGEST_FILE", 10**5)
    for path in (zipped, tar_file(members)(place)):
        _, message = outcome(load_source, "folder", path=str(path))
        check_message(message, rf"a\.png in .*{path.name} has more than 100,000 bytes")
