"""Signals, closed pipes and closed terminals at every moment of the program.

``FAULTS=100`` tries all of them, and ``-s`` prints the table of
``docs/reference/run-folder.md``.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from faults.at_moment import MOMENTS, owner_of
from faults.harness import PATIENCE, ROOT, Run, assert_same_run, seconds_of

from wgan_jax.data.converted import SUMMARY

pytestmark = pytest.mark.timeout(0)  # each wait has its own
CELLS = int(os.environ.get("FAULTS", "6"))
WRAPPER = str(Path(__file__).with_name("at_moment.py"))

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
EVENTS = (*SIGNALS, *(f"{name} twice" for name in SIGNALS), "pipe", "terminal")
BEFORE = ("imports", "dataset", "compile")
TRAINING = ("step", "save", "evaluation", "preview")
OTHERS = ("report", "convert", "evaluate")
TABLE = list(product((*BEFORE, *TRAINING, *OTHERS), EVENTS))


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        code: exit code, as a shell gives it: 128 + the number if a signal killed it.
        out: its text on stdout; empty where that was closed.
        err: its text on stderr.
    """

    code: int
    out: str
    err: str


def wait_for(path, process):
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, f"it ended with {process.returncode} too early"
        assert time.monotonic() < end, path
        time.sleep(0.02)


def strike(command, moment, event, folder):
    """Starts a command, lets an event happen at a moment, and waits for its end."""
    folder.mkdir()
    twice = event.endswith("twice")
    names = [moment, "shutdown"] if twice and moment in TRAINING else [moment]
    names = ["evaluation" if name == "evaluate" else name for name in names]
    argv = [sys.executable, WRAPPER, str(folder), ",".join(names), *command]
    options = {"cwd": ROOT, "env": os.environ | {"JAX_PLATFORMS": "cpu"}}
    out, err = folder / "out", folder / "err"
    if event == "terminal":
        terminal, line = os.openpty()
        options |= {"stdin": line, "stdout": line, "stderr": line}
        process = subprocess.Popen(argv, start_new_session=True, **options)
        os.close(line)
    else:
        with out.open("w") as stdout, err.open("w") as stderr:
            options |= {"stdin": subprocess.DEVNULL, "stderr": stderr}
            options["stdout"] = subprocess.PIPE if event == "pipe" else stdout
            process = subprocess.Popen(argv, **options)
    try:
        wait_for(folder / "1", process)
        if event == "terminal":
            os.close(terminal)
        elif event == "pipe":
            process.stdout.close()
        else:
            number = getattr(signal, event.split()[0])
            process.send_signal(number)
            if len(names) > 1:
                (folder / "1.go").touch()
                wait_for(folder / "2", process)
                process.send_signal(number)
            elif twice:
                time.sleep(0.05)
                if process.poll() is None:
                    process.send_signal(number)
        for index in (1, 2):
            (folder / f"{index}.go").touch()
        code = process.wait(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    texts = (path.read_text() if path.exists() else "" for path in (out, err))
    return Ended(code if code >= 0 else 128 - code, *texts)


def expected_code(moment, event):
    """Returns the documented exit code, as a shell gives it."""
    if event == "pipe":
        return 0
    return 128 + getattr(signal, event.split()[0], signal.SIGHUP)


def speaks(moment, event):
    """Returns whether the program writes how it goes on, where that can be read."""
    if event in ("pipe", "terminal"):
        return False
    return event == "SIGINT" or (moment in TRAINING and not event.endswith("twice"))


def test_table_has_every_moment_once():
    assert set(MOMENTS) | {"imports", "evaluate"} == {"shutdown"} | {
        a for a, _ in TABLE
    }


@pytest.mark.parametrize("moment", MOMENTS)
def test_functions_of_the_moments_exist(moment):
    owner, name = owner_of(moment)
    assert callable(getattr(owner, name))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("unbroken") / "run")
    seconds_of(run)
    return run


class Training:
    """A run of training, struck and resumed."""

    def __init__(self, unbroken, folder):
        self.run, self.unbroken = Run(folder / "run"), unbroken
        self.command = self.run.command()[1:]

    def kept(self):
        """Returns what the program left, in words."""
        if (self.run.workdir / "report.html").exists():
            return "complete"
        newest = self.run.newest()
        if not newest:
            return "nothing to lose" if not self.metrics() else "lost"
        lost = self.metrics()[-1]["step"] - newest
        return f"checkpoint {newest}" + (f", {lost} iterations lost" * (lost > 0))

    def metrics(self):
        path = self.run.workdir / "metrics.jsonl"
        return self.run.metrics() if path.exists() else []

    def repeat(self):
        """Starts the same command again, and compares the result."""
        assert self.run.finish() == 0, self.run.errors[-1]
        assert "Traceback" not in self.run.errors[-1]
        assert_same_run(self.run, self.unbroken)


class Evaluating:
    """An evaluation by ``--mode=evaluate``, struck and repeated."""

    def __init__(self, unbroken, folder):
        self.run, self.unbroken = Run(folder / "run", ("--mode=evaluate",)), unbroken
        shutil.copytree(unbroken.workdir, self.run.workdir)
        self.command = self.run.command()[1:]
        self.before = len(unbroken.evaluations())

    def added(self):
        return self.run.evaluations()[self.before :]

    def kept(self):
        return "complete" if self.added() else "nothing written"

    def repeat(self):
        if not self.added():
            assert self.run.finish() == 0, self.run.errors[-1]
        trained = [{k: v for k, v in row.items() if k != "by"} for row in self.added()]
        assert trained == self.unbroken.evaluations()[-len(trained) :]


class Converting:
    """A conversion by ``data convert``, struck and repeated."""

    def __init__(self, unbroken, folder):
        random = np.random.RandomState(0)
        images = random.randint(256, size=(300, 8, 8, 1)).astype(np.uint8)
        np.save(folder / "images.npy", images)
        self.folder, self.images = folder / "converted", images
        source = str(folder / "images.npy")
        self.command = ["launch.py", "data", "convert", source, str(self.folder)]

    def kept(self):
        done = (self.folder / SUMMARY).exists()
        return "complete" if done else f"{len(list(self.folder.iterdir()))} files"

    def repeat(self):
        other = self.folder.with_name("other")
        for folder in (self.folder, other):
            argv = [sys.executable, *self.command[:-1], str(folder)]
            subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
        names = sorted(path.name for path in self.folder.iterdir())
        assert names == sorted(path.name for path in other.iterdir())
        for name in names:
            if not name.endswith(".npz"):
                one, two = (folder / name for folder in (self.folder, other))
                assert one.read_bytes() == two.read_bytes(), name


def task_of(moment):
    if moment == "convert":
        return Converting
    return Evaluating if moment == "evaluate" else Training


def message_of(ended):
    lines = (ended.out + ended.err).strip().splitlines()
    told = [x for x in lines if "Stopped by" in x or x.startswith("launch.py: ")]
    return told[0] if told else ""


def test_signals_lose_nothing(unbroken, tmp_path):
    chosen = np.random.RandomState(0).permutation(len(TABLE))[:CELLS]
    for number in sorted(chosen):
        moment, event = TABLE[number]
        folder = tmp_path / str(number)
        folder.mkdir()
        task = task_of(moment)(unbroken, folder)
        began = time.monotonic()
        ended = strike(task.command, moment, event, folder / "moments")
        row = {
            "moment": moment,
            "event": event,
            "code": ended.code,
            "kept": task.kept(),
            "seconds": round(time.monotonic() - began, 1),
            "message": message_of(ended),
        }
        print(json.dumps(row), flush=True)
        assert "Traceback" not in ended.err + ended.out, ended
        assert ended.code == expected_code(moment, event), ended
        if speaks(moment, event):
            assert row["message"], ended
        assert "lost" not in row["kept"] or "twice" in event, row
        task.repeat()
        shutil.rmtree(folder)
