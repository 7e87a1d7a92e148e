"""Tests of addresses of remote storage, which are no folders."""

import re
from pathlib import Path

import pytest

from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.io.files import atomic_write, check_local, expanded
from wgan_jax.program.cli import main
from wgan_jax.program.help import MODES, PATHS
from wgan_jax.program.runs import load_run

DIGITS = "--config=digits_wgan_gp"


def refused(tmp_path, monkeypatch, capsys, *arguments):
    """Returns the message of a command that creates nothing."""
    monkeypatch.chdir(tmp_path)
    assert main(["wgan-jax", *arguments]) == 2
    assert not list(tmp_path.iterdir())
    (line,) = capsys.readouterr().err.splitlines()
    assert "is an address, not a folder of this machine. Mount" in line
    return line


@pytest.mark.parametrize("scheme", ["gs", "s3", "https", "file"])
def test_a_workdir_is_no_address(tmp_path, monkeypatch, capsys, scheme):
    flag = f"--workdir={scheme}://bucket/run"
    line = refused(tmp_path, monkeypatch, capsys, "train", DIGITS, flag)
    assert f"--workdir: {scheme}://bucket/run" in line


@pytest.mark.parametrize("flag", sorted(set(PATHS) - {"workdir"}))
def test_no_flag_of_a_path_takes_an_address(tmp_path, monkeypatch, capsys, flag):
    modes = [mode for mode, about in MODES.items() if flag in about.options]
    mode = modes[0] if modes else "train"
    given = f"--{flag}=gs://bucket/x"
    assert given.split("=")[0] in refused(tmp_path, monkeypatch, capsys, mode, given)


@pytest.mark.parametrize(
    "fields",
    [
        ("name=folder", "path=gs://bucket/x"),
        ("name=arrays", "path=s3://bucket/x.npz"),
        ("name=cifar10", "data_dir=gs://bucket/tfds"),
    ],
)
def test_datasets_have_no_address(tmp_path, monkeypatch, capsys, fields):
    flags = [f"--config.dataset.{field}" for field in fields]
    config = "--config=folder_fast" if "folder" in fields[0] else DIGITS
    line = refused(tmp_path, monkeypatch, capsys, "train", config, *flags)
    assert "config.dataset" in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "gs://bucket/x"),
        ("convert", "gs://bucket/x", "out", "--size=8"),
        ("convert", "pictures", "gs://bucket/out", "--size=8"),
        ("convert", "tfds:cifar10", "out", "--data-dir=gs://bucket/tfds"),
    ],
)
def test_data_has_no_address(tmp_path, monkeypatch, capsys, arguments):
    refused(tmp_path, monkeypatch, capsys, "data", *arguments)


def test_the_folder_of_prepared_data_is_no_address(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", "gs://bucket/tfds")
    flag = "--config.dataset.name=cifar10"
    refused(tmp_path, monkeypatch, capsys, "train", DIGITS, flag)


def test_the_library_takes_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = re.escape("gs:/bucket/x is an address")
    for call in (
        lambda: Checkpoints(Path("gs://bucket/x"), keep=1),
        lambda: load_run(Path("gs://bucket/x")),
        lambda: atomic_write(Path("gs://bucket/x")).__enter__(),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path", ["runs/a:b", "C:/runs", "~/x", "tfds:cifar10", "a/gs:/b"]
)
def test_paths_of_this_machine_are_taken(path):
    check_local(path)
    expanded(path)
