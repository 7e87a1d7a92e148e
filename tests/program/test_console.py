"""Tests of what the program prints: progress, warnings, results, other libraries."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wgan_jax.errors import ConfigError
from wgan_jax.program import console
from wgan_jax.program.cli import main
from wgan_jax.program.console import Console, finish, library_logs, warn
from wgan_jax.program.flags import split_level

ROOT = Path(__file__).parents[2]
SMALL = (
    "--config=digits_wgan_gp",
    "--config.training.iterations=4",
    "--config.training.batch_size=8",
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.penalty.weight=1e-9",
    "--config.checkpoint.every=2",
    "--config.samples.every=2",
    "--config.samples.count=4",
    "--config.evaluation.every=0",
    "--config.evaluation.count=20",
    "--config.evaluation.measures=('frechet',)",
)
# How absl, logging and Python mark their lines.
OF_LIBRARIES = re.compile(
    r"^([IWEF]\d{4} |(INFO|WARNING|ERROR)\b|Traceback|  File )", re.MULTILINE
)


def program(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "wgan_jax", *arguments],
        cwd=cwd,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quiet")
    return folder, program("train", *SMALL, "--workdir=run", "--quiet", cwd=folder)


def test_a_quiet_run_prints_its_folder_alone(quiet):
    folder, done = quiet
    assert done.stdout == f"{folder / 'run'}\n"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("mode", "flags", "written"),
    [
        ("sample", ("--format=npz",), "samples/sample_00000004_ema_seed0_4.npz"),
        ("report", (), "report.html"),
        ("evaluate", (), "evaluations.jsonl"),
        ("export", ("--formats=stablehlo", "--output=out"), "out"),
    ],
)
def test_quiet_modes_print_what_they_wrote(
    quiet, capfd, monkeypatch, mode, flags, written
):
    folder, _ = quiet
    monkeypatch.chdir(folder)
    assert main(["wgan-jax", mode, "--workdir=run", "--quiet", *flags]) == 0
    found = capfd.readouterr()
    (line,) = found.out.splitlines()
    assert line.endswith(written)
    assert (folder / line).exists()
    assert found.err == ""


def test_a_quiet_program_prints_warnings_and_errors(quiet, capsys, monkeypatch):
    folder, _ = quiet
    monkeypatch.chdir(folder)
    flags = ["--config=digits_wgan_gp", "--workdir=run", "--quiet"]
    assert main(["wgan-jax", "train", *flags]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert "was written by another config" in found.err
    log = Console("quiet")
    log("progress")
    warn(log, "a warning")
    finish(log, "Written to a folder.", "a folder")
    found = capsys.readouterr()
    assert (found.out, found.err) == ("a folder\n", "a warning\n")


def test_a_normal_program_has_no_lines_of_libraries(tmp_path):
    done = program("train", *SMALL, "--workdir=run", cwd=tmp_path)
    assert "Done: iteration 4" in done.stdout
    assert "Iteration 2: samples" in done.stderr
    assert not OF_LIBRARIES.search(done.stdout + done.stderr)


def test_a_verbose_program_has_the_lines_of_libraries(tmp_path):
    done = program("train", *SMALL, "--workdir=run", "--verbose", cwd=tmp_path)
    assert "Done: iteration 4" in done.stdout
    assert re.search(r"^INFO absl: .*checkpoint", done.stderr, re.MULTILINE)
    assert re.search(r"^WARNING jax\S*: .*[Cc]ompil", done.stderr, re.MULTILINE)


def test_logs_of_libraries_are_as_before_afterwards():
    loggers = [logging.getLogger(name) for name in ("", *console._LIBRARIES)]
    before = [(x.level, list(x.handlers)) for x in loggers], sys.unraisablehook
    for level in ("normal", "quiet", "verbose"):
        with library_logs(level):
            assert logging.getLogger("absl").isEnabledFor(logging.INFO) == (
                level == "verbose"
            )
            assert not logging.getLogger("absl").isEnabledFor(logging.DEBUG)
    assert (
        [(x.level, list(x.handlers)) for x in loggers],
        sys.unraisablehook,
    ) == before


def test_levels_exclude_each_other():
    assert split_level(["--a", "--quiet", "--b"]) == ("quiet", ["--a", "--b"])
    assert split_level(["--a"]) == ("normal", ["--a"])
    with pytest.raises(ConfigError, match="cannot be combined"):
        split_level(["--quiet", "--verbose"])


@pytest.mark.parametrize("mode", ["train", "sample", "evaluate", "export", "plan"])
def test_help_of_every_mode_has_both_levels(mode, capsys):
    assert main(["wgan-jax", mode, "-h"]) == 0
    found = capsys.readouterr().out
    assert "--quiet" in found
    assert "--verbose" in found
