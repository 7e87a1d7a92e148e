"""Tests of atomic writes."""

import os
import stat

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
