"""Tests of the compilation cache at the second start of a config."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
