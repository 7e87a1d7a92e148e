"""Tests of the signals that end a run."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from wgan_jax.parallel import multiprocess
from wgan_jax.program import cli
from wgan_jax.program import interruption as module
from wgan_jax.program.interruption import Interruption

NAMES = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"]


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_is_noted_and_the_second_has_its_usual_effect(name):
    number = signal.Signals[name]
    usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
    outer = signal.signal(number, usual)  # the tests may run under nohup
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.due()
        os.kill(os.getpid(), number)
        assert interruption.due()
        assert interruption.signal == number
        assert interruption.exit_code == 128 + number
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before
    signal.signal(number, outer)


@pytest.mark.parametrize("name", NAMES[2:])
def test_ignored_signals_stay_ignored(name):
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), number)
            assert not interruption.due()
    finally:
        signal.signal(number, before)


class Runtime:
    """Two processes of one run, whose runtime stops them at the same number."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(multiprocess, "is_shared", lambda: True)
        monkeypatch.setattr(multiprocess, "broadcast_from_primary", self._broadcast)
        monkeypatch.setattr(
            module.multihost_utils, "reached_preemption_sync_point", self._reached
        )
        self.primary, self.other = Interruption(), Interruption()
        self.asked, self.stops = [], None

    def _broadcast(self, value):
        return float(self.primary._asked)

    def _reached(self, number):
        self.asked.append(number)
        return number == self.stops

    def preempt(self):
        """Chooses the next number of the process that is farthest, as JAX does."""
        self.stops = max(self.primary._asked, self.other._asked) + 1


def test_processes_agree_after_the_primary_one_has_asked_alone(monkeypatch):
    runtime = Runtime(monkeypatch)
    primary, other = runtime.primary, runtime.other
    assert not primary.due()
    assert not other.due()
    assert not any(primary.due() for _ in range(5))
    runtime.preempt()
    assert not other.agree()
    assert not primary.agree()
    assert primary._asked == other._asked == 6
    assert runtime.asked == [1, 1, 2, 3, 4, 5, 6, 6]
    assert primary.due()
    assert other.due()


def test_processes_agree_on_a_stop_that_the_primary_one_has_seen(monkeypatch):
    runtime = Runtime(monkeypatch)
    primary, other = runtime.primary, runtime.other
    assert not primary.due()
    assert not primary.due()
    runtime.preempt()
    assert primary.due()
    assert other.agree()
    assert primary.agree()
    assert other.exit_code == primary.exit_code == 143


# What the interrupted command leaves, by mode.
AFTER_CTRL_C = {
    "train": "the same command continues from the last checkpoint, or starts again",
    "data": "the same command continues a conversion.",
    "evaluate": "the same command starts again.",
    "report": "the same command starts again.",
}


@pytest.mark.parametrize("mode", AFTER_CTRL_C)
def test_ctrl_c_is_one_line_that_says_what_happens_next(monkeypatch, capsys, mode):
    def interrupted(*of, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_mode", interrupted)
    assert cli.main(["launch.py", mode]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"launch.py: interrupted; {AFTER_CTRL_C[mode]}")
    monkeypatch.setattr(cli, "_complain", interrupted)  # a second one
    assert cli.main(["launch.py", mode]) == 130
    assert capsys.readouterr().err == ""


def test_ctrl_c_during_the_imports_has_no_traceback(tmp_path):
    launch = Path(__file__).parents[2] / "launch.py"
    shutil.copy(launch, tmp_path)
    (tmp_path / "wgan_jax").mkdir()
    source = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / "wgan_jax" / "__init__.py").write_text(source)
    # As in a terminal; a shell lets processes in the background ignore it.
    start = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "os.execv(sys.executable, [sys.executable, 'launch.py'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", start],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130
    assert done.stderr == "launch.py: interrupted before it began.\n"
