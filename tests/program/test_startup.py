"""Tests of the compilation cache at the second start of a config."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from wgan_jax.program.cli import main
from wgan_jax.program.environment import use_compilation_cache

ROOT = Path(__file__).parents[2]
TINY = [
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.training.batch_size=16",
    "--config.training.iterations=1",
    "--config.samples.count=4",
    "--config.evaluation.every=0",
]


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    """Returns the output of two starts, and the cached programs after each."""
    folder = tmp_path_factory.mktemp("starts")
    found = []
    for name in ("first", "second"):
        run = subprocess.run(
            [
                sys.executable,
                "launch.py",
                "--config=configs/digits_wgan_gp.py",
                f"--workdir={folder / name}",
                *TINY,
            ],
            cwd=ROOT,
            env=os.environ
            | {
                "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
                # Cache all programs, because compile times vary.
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        programs = {path.name for path in (folder / "cache").glob("*-cache")}
        found.append((run.stdout, programs))
    return found


def test_second_start_compiles_nothing(starts):
    (_, first), (_, second) = starts
    assert any(name.startswith("jit_placed") for name in first)
    assert second == first


def test_compilation_and_its_time_are_logged(starts):
    for output, _ in starts:
        says = re.search(
            r"^Compiling the training step: 5 critic updates and 1 generator update, "
            r".*\nCompiled in \d+\.\d s\.$",
            output,
            re.MULTILINE,
        )
        assert says, output


CACHE = "jax_compilation_cache_dir"
SECONDS = "jax_persistent_cache_min_compile_time_secs"


@pytest.fixture
def no_cache(monkeypatch):
    """Removes the folder of the cache from the settings, and restores it."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    before = {name: getattr(jax.config, name) for name in (CACHE, SECONDS)}
    jax.config.update(CACHE, None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.usefixtures("no_cache")
def test_a_cache_that_cannot_be_written_to_is_one_line(tmp_path, monkeypatch, capsys):
    file = tmp_path / "file"
    file.write_text("")  # also the superuser cannot create a folder in it
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    lines = []
    use_compilation_cache(log=lines.append)
    line = f"Compiled programs cannot be kept in {file}/wgan_jax, so that each start"
    assert [text.startswith(line) for text in lines] == [True]
    assert getattr(jax.config, CACHE) is None
    flags = ["--pretrained=digits", f"--output={tmp_path}", "--config.samples.count=1"]
    assert main(["wgan-jax", "sample", *flags, "--format=npz"]) == 0
    assert capsys.readouterr().err.count(line) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "folder"))
    lines.clear()
    use_compilation_cache(log=lines.append)
    assert lines == []
    assert getattr(jax.config, CACHE) == str(tmp_path / "folder/wgan_jax")


@pytest.mark.usefixtures("no_cache")
def test_a_cache_of_the_environment_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "given"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    lines = []
    use_compilation_cache(log=lines.append)
    assert lines == []
    assert getattr(jax.config, CACHE) is None  # JAX reads the variable at its import
