"""Decoded splits on disk: used again, and never in place of what changed."""

import os

import numpy as np
import pytest

from wgan_jax.data import decoded


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


class Decoder:
    """Counts its calls, and returns something else each time."""

    calls = 0

    def __call__(self):
        self.calls += 1
        return {"images": np.full((2, 3), self.calls, np.uint8)}


def read(decode, files, **about):
    return int(decoded.remember(decode, files=files, about=about)["images"][0, 0])


def cached(tmp_path):
    return sorted((tmp_path / "cache" / "wgan_jax" / "decoded").glob("*"))


def test_a_second_read_decodes_nothing(files):
    decode = Decoder()
    assert [read(decode, files), read(decode, reversed(files))] == [1, 1]
    assert decode.calls == 1


def test_whatever_may_change_the_result_is_decoded_anew(files):
    decode = Decoder()
    assert read(decode, files, split="train") == 1
    assert read(decode, files, split="test") == 2
    assert read(decode, files[:1], split="train") == 3
    files[0].write_bytes(b"longer")
    assert read(decode, files, split="train") == 4
    state = files[0].stat()
    os.utime(files[0], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert read(decode, files, split="train") == 5


def test_a_damaged_file_is_as_good_as_none(files, tmp_path):
    decode = Decoder()
    read(decode, files)
    (path,) = cached(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert [read(decode, files), read(decode, files)] == [2, 2]


def test_a_folder_that_cannot_be_written_is_as_good_as_none(files, tmp_path):
    (tmp_path / "cache").write_text("a file")
    decode = Decoder()
    assert [read(decode, files), read(decode, files)] == [1, 2]


def test_what_was_used_last_stays(files, tmp_path):
    decode = Decoder()
    for split in range(decoded.KEPT):
        read(decode, files, split=split)
        for path in cached(tmp_path):  # older than what comes, by any clock
            state = path.stat()
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns - 10**9))
    read(decode, files, split=0)
    read(decode, files, split="another")
    assert len(cached(tmp_path)) == decoded.KEPT
    calls = decode.calls
    read(decode, files, split=0)
    assert decode.calls == calls
    read(decode, files, split=1)
    assert decode.calls == calls + 1


def test_what_is_too_large_is_not_kept(files, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "LARGEST_BYTES", 5)
    decode = Decoder()
    assert [read(decode, files), read(decode, files)] == [1, 2]
    assert not cached(tmp_path)


def test_what_a_killed_process_left_is_removed(files, tmp_path):
    read(Decoder(), files)
    old, new = (
        cached(tmp_path)[0].with_name(n) for n in ("old.partial", "new.partial")
    )
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    read(Decoder(), files, split="another")
    assert not old.exists()
    assert new.exists()


def test_an_error_of_the_decoder_is_kept_from_nobody(files):
    def broken():
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        decoded.remember(broken, files=files, about={})


def test_a_missing_file_is_left_to_the_decoder(files, tmp_path):
    files[0].unlink()
    decode = Decoder()
    assert [read(decode, files), read(decode, files)] == [1, 2]
    assert not cached(tmp_path)
