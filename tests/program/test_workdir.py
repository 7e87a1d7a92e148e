"""Tests of the folder of a run: the recorded commit, and a folder seen late."""

import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from wgan_jax.errors import WorkdirError
from wgan_jax.program import workdir as module
from wgan_jax.program.workdir import Workdir

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
NAMED = ("-c", "user.name=x", "-c", "user.email=x@example.com")


def git(folder, *arguments):
    done = subprocess.run(
        ["git", *NAMED, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Returns a repository with one commit, and a copy of a module of the package."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    path = folder / ".venv/wgan_jax/program/workdir.py"
    path.parent.mkdir(parents=True)
    path.write_text("one\n")
    (folder / "own.py").touch()
    git(folder, "init", "--quiet")
    git(folder, "add", "own.py")
    git(folder, "commit", "--quiet", "--message=one")
    monkeypatch.setattr(module, "__file__", str(path))
    return folder, path


@needs_git
def test_the_commit_of_a_repository_around_an_installed_package_is_not_recorded(
    repository,
):
    folder, _ = repository
    assert module._git_commit() is None
    (folder / ".gitignore").write_text(".venv\n")
    assert module._git_commit() is None


@needs_git
def test_the_commit_of_a_repository_with_this_code_is_recorded(repository):
    folder, path = repository
    git(folder, "add", "--force", str(path))
    git(folder, "commit", "--quiet", "--message=two")
    git(folder, "tag", "named")
    commit = git(folder, "rev-parse", "HEAD")
    assert module._git_commit() == commit
    path.write_text("two\n")
    assert module._git_commit() == f"{commit}-dirty"


@needs_git
def test_no_commit_is_recorded_without_git_or_a_repository(repository, monkeypatch):
    folder, path = repository
    git(folder, "add", "--force", str(path))
    git(folder, "commit", "--quiet", "--message=two")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(folder))
        assert module._git_commit() is None
    shutil.rmtree(folder / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    assert module._git_commit() is None


def test_a_folder_that_other_hosts_see_late_is_shared(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.01)
    workdir, listed, seen = Workdir(tmp_path / "run"), [], threading.Event()
    exists = Path.exists

    def cached(path):  # as a client of NFS: absent until its folder is listed again
        return (path != workdir.config or seen.is_set()) and exists(path)

    def listing(folder, names=os.listdir):
        listed.append(folder)
        if folder == workdir.path and exists(workdir.config):
            seen.set()
        return names(folder)

    monkeypatch.setattr(Path, "exists", cached)
    monkeypatch.setattr(os, "listdir", listing)
    threading.Timer(0.1, lambda: make(workdir)).start()
    workdir.check_shared()
    assert {workdir.path, workdir.path.parent} <= set(listed)


def make(workdir):
    workdir.path.mkdir()
    workdir.config.write_text("{}")


def test_a_folder_that_does_not_appear_is_not_shared(tmp_path, monkeypatch):
    assert module._NETWORK_SECONDS > 60, "caches of NFS live for 60 s"
    monkeypatch.setattr(module, "_NETWORK_SECONDS", 0.05)
    monkeypatch.setattr(module, "_POLL_SECONDS", 0.01)
    with pytest.raises(WorkdirError) as caught:
        Workdir(tmp_path / "run").check_shared()
    assert str(caught.value) == (
        f"{tmp_path / 'run'} is not shared with process 0: its config.json did not "
        "appear within 0.05 s. Use a --workdir on a file system that all processes "
        "share."
    )
