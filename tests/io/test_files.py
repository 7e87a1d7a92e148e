"""Tests of atomic writes."""

import os
import stat
import threading
from pathlib import Path

import pytest

from wgan_jax.io.files import atomic_write, write_text


def test_new_file_replaces_the_old_one_at_the_end(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_text(path, "old")
    with atomic_write(path) as stream:
        stream.write(b"gr\xc3\xb6\xc3\x9fer")
        assert path.read_text() == "old"
    assert path.read_text(encoding="utf-8") == "größer"
    assert os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_error_keeps_the_old_file_and_leaves_no_other(tmp_path, error):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(error), atomic_write(path) as stream:
        stream.write(b"half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_concurrent_writers_do_not_interfere(tmp_path):
    path = tmp_path / "file.txt"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write(b"1" * 100)
        second.write(b"2")
    assert path.read_text() == "1" * 100  # written by the last to finish
    assert os.listdir(tmp_path) == ["file.txt"]


def test_file_has_default_permissions(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "file", "")
    modes = {stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("exists", [True, False])
def test_target_of_a_link_is_replaced_and_the_link_stays(tmp_path, exists):
    target = tmp_path / "there" / "file.txt"
    target.parent.mkdir()
    if exists:
        target.write_text("old")
    (tmp_path / "second").symlink_to("there/file.txt")
    (tmp_path / "first").symlink_to(tmp_path / "second")
    with atomic_write(tmp_path / "first") as stream:
        stream.write(b"new")
        assert target.exists() == exists
        assert not exists or target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.readlink(tmp_path / "first") == str(tmp_path / "second")
    assert os.readlink(tmp_path / "second") == "there/file.txt"
    assert os.listdir(target.parent) == ["file.txt"]


def test_error_keeps_the_target_of_a_link(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    (tmp_path / "link").symlink_to("file.txt")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "link") as stream:
        stream.write(b"half")
        raise RuntimeError
    assert (tmp_path / "link").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["file.txt", "link"]


def test_a_link_to_a_device_stays_and_is_written_to(tmp_path, monkeypatch):
    def refuse(*_):  # the device of this machine must outlive a failure
        raise AssertionError("it would be replaced")

    monkeypatch.setattr(Path, "replace", refuse)
    link = tmp_path / "nowhere"
    link.symlink_to(os.devnull)
    write_text(link, "text")
    assert os.readlink(link) == os.devnull
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    assert os.listdir(tmp_path) == ["nowhere"]


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_a_pipe_stays_and_is_written_to(tmp_path, name):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to("pipe")
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.daemon = True  # it waits for a writer
    reader.start()
    write_text(tmp_path / name, "text")
    reader.join(timeout=10)
    assert found == ["text"]
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert (tmp_path / "link").is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_a_link_to_itself_is_an_error(tmp_path):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="symbolic links"):
        write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path) == ["link"]
