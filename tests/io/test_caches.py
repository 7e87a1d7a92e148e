"""Tests of the location of the cache, also without a home directory."""

import stat
import tempfile
from pathlib import Path

import pytest

from wgan_jax.io import caches


@pytest.fixture(autouse=True)
def _fresh():
    caches.private_folder.cache_clear()
    yield
    caches.private_folder.cache_clear()


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """Unsets XDG_CACHE_HOME and HOME; returns the folder of temporary files."""

    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(caches.Path, "home", home)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_xdg_cache_home_takes_precedence_if_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert caches.cache_folder() == tmp_path / "xdg" / "wgan_jax"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert caches.cache_folder() == tmp_path / "home" / ".cache" / "wgan_jax"


def test_without_home_the_cache_is_private_and_reused(homeless):
    folder = caches.cache_folder()
    assert folder.parent == homeless
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    caches.private_folder.cache_clear()  # as in the next process
    assert caches.cache_folder() == folder


@pytest.mark.parametrize("squat", ["open", "link"])
def test_folder_writable_by_others_is_not_used(homeless, squat):
    folder = caches.cache_folder()
    caches.private_folder.cache_clear()
    folder.rmdir()
    if squat == "open":
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
    else:
        Path(homeless, "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(homeless / "elsewhere")
    other = caches.cache_folder()
    assert other not in (folder, homeless / "elsewhere")
    assert stat.S_IMODE(other.stat().st_mode) == 0o700
