"""Tests that two processes do not train in one folder."""

import fcntl
import json
import os
import signal
import subprocess
import sys

import pytest

from wgan_jax.errors import WorkdirError
from wgan_jax.program import locking
from wgan_jax.program.cli import main
from wgan_jax.program.locking import locked
from wgan_jax.program.recorder import Recorder

HOLD = """
import sys
from pathlib import Path
from wgan_jax.program.locking import locked
with locked(Path(sys.argv[1]), log=print):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Returns the path of a lock, and a process that holds it."""
    path = tmp_path / "run" / "run.lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield path, process
    process.kill()
    process.communicate()


def test_the_second_process_is_told_who_has_the_folder(other):
    # deepinv #525, torchtune #481, CellBender #241
    path, process = other
    match = rf"run is in use: process {process.pid} on \S+ \(since .*\) trains there"
    with pytest.raises(WorkdirError, match=match), locked(path, log=print):
        pass
    process.communicate()  # closes its input, so it ends
    lines = []
    with locked(path, log=lines.append):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert lines == []
    assert path.read_text() == ""


def test_the_lock_of_a_killed_process_is_taken_over(other):
    path, process = other
    process.send_signal(signal.SIGKILL)
    process.communicate()
    lines = []
    with locked(path, log=lines.append):
        pass
    (line,) = lines
    assert f"was not released by process {process.pid} on " in line
    assert "this process takes over" in line


@pytest.fixture
def no_locks(monkeypatch):
    """Makes the file system one without locks."""

    def fail(file, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", fail)


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize(
    ("changes", "is_refused"),
    [
        ({}, True),
        ({"pid": 2**22 + 1}, False),  # no such process
        ({"boot": "before"}, False),
        ({"host": "elsewhere", "boot": "other"}, True),
    ],
)
def test_without_locks_the_record_decides(tmp_path, changes, is_refused):
    path = tmp_path / "run.lock"
    owner = locking._here() | {"pid": os.getpid(), "since": "today"} | changes
    path.write_text(json.dumps(owner))
    if not is_refused:
        with locked(path, log=print):
            pass
        return
    match = rf"process {owner['pid']} on {owner['host']} \(since today\).*remove "
    with pytest.raises(WorkdirError, match=match), locked(path, log=print):
        pass


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}"])
def test_a_damaged_record_is_no_owner(tmp_path, text):
    path = tmp_path / "run.lock"
    path.write_text(text)
    with locked(path, log=pytest.fail):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    assert not path.read_text()


TRAIN = [
    "wgan-jax",
    "train",
    "--config=gaussians_wgan_gp",
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.training.batch_size=16",
    "--config.training.iterations=4",
    "--config.training.iterations_per_call=1",
    "--config.checkpoint.every=2",
    "--config.log.every=1",
    "--config.evaluation=None",
]


def test_training_twice_in_one_folder_is_refused(tmp_path, monkeypatch, capsys):
    workdir, seen = tmp_path / "run", []

    def content():
        """Returns the bytes of the files that the first run is not just writing."""
        files = (x for x in workdir.rglob("*") if x.is_file())
        parts = ("heartbeat.json", "checkpoints", "tensorboard")
        return {x: x.read_bytes() for x in files if not {*x.parts} & {*parts}}

    def twice(self, done, *more):
        iterations(self, done, *more)
        if done == 3:
            monkeypatch.setattr(Recorder, "iterations", iterations)
            capsys.readouterr()
            before = content()
            seen.append(main([*TRAIN, f"--workdir={workdir}"]))
            seen.append(capsys.readouterr().err)
            assert content() == before

    iterations = Recorder.iterations
    monkeypatch.setattr(Recorder, "iterations", twice)
    assert main([*TRAIN, f"--workdir={workdir}"]) == 0
    code, error = seen
    assert code == 2
    assert error.count("\n") == 1
    assert f"{workdir} is in use: process {os.getpid()} on " in error
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4]
    assert not (workdir / "run.lock").read_text()
