"""Tests of what the program prints: progress, warnings, results, other libraries."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_program import metrics

from wgan_jax.errors import ConfigError
from wgan_jax.io.streams import LastingStream, lasting_output
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


FULL = Path("/dev/full")  # takes no byte, as a full disk
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


def in_shell(command, redirections, cwd, program=("-m", "wgan_jax")):
    """Runs the program, or another one in Python, with redirected output."""
    shell = ("sh", "-c", f'exec "$@" {redirections}', "sh")
    return subprocess.run(
        [*shell, sys.executable, *program, *command],
        cwd=cwd,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@needs_full
def test_text_that_the_disk_does_not_take_is_dropped_and_later_text_is_written(
    tmp_path,
):
    path = tmp_path / "log"
    with path.open("w") as file, FULL.open("w") as full:
        stream, kept = LastingStream(file), os.dup(file.fileno())
        stream.write("before\n")
        stream.flush()
        os.dup2(full.fileno(), file.fileno())
        for size in (1, 100_000):  # within the buffer and beyond
            stream.write("x" * size)
            stream.flush()
            assert os.path.sameopenfile(file.fileno(), full.fileno())
        os.dup2(kept, file.fileno())
        os.close(kept)
        stream.write("after\n")
    assert path.read_text() == "before\nafter\n"
    assert stream.loss == "No space left on device"


def test_other_errors_of_a_stream_are_raised(tmp_path):
    path = tmp_path / "log"
    path.touch()
    stream = LastingStream(os.fdopen(os.open(path, os.O_RDONLY), "w"))
    stream.write("x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        stream.flush()
    with pytest.raises(OSError, match="Bad file descriptor"):
        stream.close()


def test_a_stream_that_was_closed_at_the_start_is_the_null_device(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with lasting_output():
        print("caf\N{LATIN SMALL LETTER E WITH ACUTE} \udcff", flush=True)
        assert not sys.stderr.isatty()
    assert sys.stdout is None
    assert sys.stderr is None


@pytest.mark.parametrize(
    "redirections",
    [">&-", "2>&-", "<&- >&- 2>&-"],
    ids=["stdout", "stderr", "all"],
)
def test_closed_streams_are_harmless(redirections, tmp_path):
    done = in_shell(["configs"], redirections, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert ("digits_wgan_gp" in done.stdout) == (redirections == "2>&-")
    wrong = in_shell(["train", "--config=nope"], redirections, tmp_path)
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert ("--config=nope" in wrong.stderr) == (redirections == ">&-")


def test_no_file_gets_the_descriptor_of_a_closed_stream(tmp_path):
    code = (
        "import os\n"
        "from wgan_jax.io.streams import lasting_output\n"
        "with lasting_output(), open('file', 'wb') as file:\n"
        "    os.write(2, b'a message of native code')\n"
        "    file.write(b'%d' % file.fileno())\n"
    )
    done = in_shell([], "<&- >&- 2>&-", tmp_path, program=("-c", code))
    assert done.returncode == 0
    assert int((tmp_path / "file").read_text()) > 2


@needs_full
def test_mistakes_have_exit_code_2_if_the_disk_of_the_log_is_full(tmp_path):
    done = in_shell(["train", "--config=nope"], "2>/dev/full", tmp_path)
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())


@needs_full
def test_the_program_says_that_the_disk_did_not_take_its_output(tmp_path):
    done = in_shell(["configs"], ">/dev/full", tmp_path)
    assert done.returncode == 0
    assert done.stderr == (
        "Part of the output on stdout could not be written: No space left on device.\n"
    )


@pytest.mark.parametrize(
    "redirections",
    [
        pytest.param(">/dev/full 2>&1", marks=needs_full),
        "<&- >&- 2>&-",
    ],
    ids=["full", "closed"],
)
def test_training_goes_on_without_its_output(redirections, quiet, tmp_path):
    done = in_shell(["train", *SMALL, "--workdir=run"], redirections, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    expected, found = quiet[0] / "run", tmp_path / "run"
    assert metrics(found) == metrics(expected) != []
    assert (found / "checkpoints/4").is_dir()
    assert (found / "report.html").exists()
