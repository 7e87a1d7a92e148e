"""Tests that ``~`` is the home folder in every option with a path."""

from pathlib import Path

import numpy as np
import pytest

import wgan_jax
from wgan_jax import metrics, zoo
from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.config.loading import find_config
from wgan_jax.data import load_source
from wgan_jax.errors import DataError, ReportError, WorkdirError
from wgan_jax.evaluation import EXTRACTORS, make_evaluator
from wgan_jax.io.files import write_text
from wgan_jax.io.images import save_picture
from wgan_jax.io.weights import load_weights, save_weights
from wgan_jax.program.cli import main
from wgan_jax.program.help import FLAGS, MODES, PATHS
from wgan_jax.report import write_report

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


FIND = {
    "load_run": wgan_jax.load_run,
    "zoo.load": zoo.load,
    "load_weights": load_weights,
    "metrics.read_state_dict": metrics.read_state_dict,
    "metrics.inception_weights": metrics.inception_weights,
    "write_report": lambda path: write_report([path], Path("page.html")),
}


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("name", FIND)
def test_functions_look_in_the_home_folder(name, kind, home):
    errors = (OSError, ValueError, ReportError, WorkdirError)
    with pytest.raises(errors) as raised:
        FIND[name](kind("~/none"))
    told = str(raised.value)
    if name == "zoo.load":
        assert "'~/none' is not known" in told
        (home / "none").mkdir()
        (home / "none/weights.safetensors").write_bytes(b"")
        with pytest.raises(ValueError, match=f"{home}/none/weights.safetensors"):
            zoo.load(kind("~/none"))
    else:
        assert f"{home}/none" in told


def test_functions_write_to_the_home_folder(home):
    save_picture("~/a.png", np.zeros((4, 4, 1), np.uint8))
    save_weights("~/b.safetensors", {"params": {"x": np.zeros(2)}}, metadata={})
    assert load_weights("~/b.safetensors")[0]["params.x"].shape == (2,)
    write_text("~/c.html", "page")
    (home / "mine.py").write_text("")
    assert find_config("~/mine.py:x") == (home / "mine.py", "x")
    with Checkpoints("~/checkpoints", keep=1):
        pass
    found = {path.name for path in home.iterdir()}
    assert found == {"a.png", "b.safetensors", "c.html", "mine.py"} | {"checkpoints"}


def test_references_are_kept_in_the_home_folder(home):
    evaluator = make_evaluator(
        load_source("digits"),
        EXTRACTORS["pixels"]((8, 8, 1)),
        ("frechet",),
        count=20,
        cache=Path("~/cache"),
    )
    assert evaluator.cache == home / "cache"


def test_argument_of_a_config_may_be_a_path(capsys):
    assert main(["wgan-jax", "train", "--config=mine.py:/data"]) == 2
    assert "mine.py:/data does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("flag", sorted(set(PATHS) - {"page"}))
@pytest.mark.parametrize("form", ["--{}=", "--{} "])
def test_an_empty_path_is_a_mistake(flag, form, tmp_path, capsys):
    modes = [mode for mode, about in MODES.items() if flag in about.options]
    words = form.format(flag).split(" ")
    assert main(["wgan-jax", modes[0] if modes else "train", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        f"wgan-jax: argument --{flag}: it is empty; give a value, or omit the option."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize("page", ["--page", "--page="])
def test_an_empty_page_is_looked_for_in_the_current_folder(page, capsys):
    assert main(["wgan-jax", "export", "--pretrained=digits", page]) == 2
    assert "run `npm pack" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("inspect", ""), ("convert", "x", "", "--size=8")]
)
def test_data_has_no_empty_path(arguments, tmp_path, capsys):
    assert main(["wgan-jax", "data", *arguments]) == 2
    assert "it is empty; it must be a path" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
