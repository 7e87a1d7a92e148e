"""Tests that ``~`` is the home folder in every option with a path."""

import numpy as np
import pytest

from wgan_jax.data import load_source
from wgan_jax.errors import DataError
from wgan_jax.evaluation import EXTRACTORS
from wgan_jax.program.cli import main
from wgan_jax.program.help import FLAGS, PATHS

# HistoQC PR 198
WORDS = ("folder", "file", "page", "picture", "path")  # of options with paths
NO_PATHS = ("profile", "format", "quiet")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "home"
    assert not (tmp_path / "~").exists()


def test_the_list_of_flags_with_paths_is_complete():
    found = {name for name, about in FLAGS.items() if any(w in about for w in WORDS)}
    assert found - set(NO_PATHS) == set(PATHS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--config=~/none.py"],
        ["sample", "--workdir=~/none"],
        ["sample", "--pretrained=~/none"],
        ["sample", "--pretrained=digits", "--latents=~/none.npy", "--workdir=x"],
        ["report", "--workdir=~/none"],
        ["data", "inspect", "~/none"],
        ["train", "--config=folder_fast", "--config.dataset.path=~/none"],
    ],
)
def test_messages_name_the_file_in_the_home_folder(arguments, home, capsys):
    assert main(["wgan-jax", *arguments]) == 2
    text = capsys.readouterr().err
    assert f"{home}/none" in text
    assert "~" not in text


def test_samples_are_written_to_the_home_folder(home):
    flags = ["--config.samples.count=4", "--format=npz", "--output=~/out"]
    assert main(["wgan-jax", "sample", "--pretrained=digits", *flags]) == 0
    assert list((home / "out").rglob("*.npz"))


def test_an_unknown_home_folder_is_no_folder_of_that_name(capsys):
    assert main(["wgan-jax", "sample", "--workdir=~nobody9/run"]) == 2
    assert "~nobody9/run is not valid" in capsys.readouterr().err


def test_data_and_weights_are_found_in_the_home_folder(home, monkeypatch):
    for options in ({"data_dir": "~/none"}, {}):
        with pytest.raises((DataError, ValueError), match=f"{home}/none"):
            load_source("tfds:no_such_set_9", **options)
        monkeypatch.setenv("TFDS_DATA_DIR", "~/none")
    np.savez(home / "x.npz", images=np.zeros((2, 4, 4, 1), np.uint8))
    assert len(load_source("arrays", path="~/x.npz")) == 2
    for name in ("lite0", "inception"):
        with pytest.raises(ValueError, match=f"{home}/none"):
            EXTRACTORS[name]((32, 32, 3), path="~/none")
