"""Runs of two processes, of which one is killed or told to stop."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from faults.harness import LAST, Run, assert_same_run
from release import before_a_release_or_asked
from test_multiprocess import ended, explicit, launched

pytestmark = pytest.mark.timeout(0)  # each wait has its own
KILLS = int(os.environ.get("FAULTS", "3"))
BOUND = 120  # seconds after which the other process has ended
WRAPPER = str(Path(__file__).with_name("at_moment.py"))
NOTICE = 5  # seconds in which the runtime tells all processes of a signal


def started(run, *, wrapper=()):
    """Starts two processes of a run, the first one within ``wrapper``."""
    python, *program = run.command()
    return launched(
        ([python, *before, *program, joined], {"JAX_PLATFORMS": "cpu"})
        for before, (joined, _) in zip((wrapper, ()), explicit(2), strict=True)
    )


def finish(run):
    """Runs both processes to their end."""
    with started(run) as running:
        codes, texts = ended(running)
    assert codes == [0, 0], texts


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("unbroken") / "run")
    finish(run)
    return run


def is_connected(running, run):
    """Returns whether process 0 has met the other one and holds the lock."""
    lock = run.workdir / "run.lock"
    text = lock.read_text() if lock.exists() else ""
    return f'"pid": {running[0].pid},' in text


def reaches(running, run, lines, seconds):
    """Waits until the processes are connected, for some metrics, and some seconds.

    Before they are connected, the other one waits for as long as the runtime does.

    Returns:
        Whether both processes still run then.
    """
    path, end = run.workdir / "metrics.jsonl", None
    while end is None or time.monotonic() < end:
        if any(process.poll() is not None for process in running):
            return False
        written = len(path.read_bytes().splitlines()) if path.exists() else 0
        if end is None and written >= lines and is_connected(running, run):
            end = time.monotonic() + seconds
        time.sleep(0.02)
    return True


@before_a_release_or_asked  # two minutes
def test_other_process_ends_when_one_is_killed(unbroken, tmp_path):
    random = np.random.RandomState(0)
    kills, number, found = 0, 0, []
    while kills < KILLS:
        run = Run(tmp_path / f"run{number}")
        number += 1
        for _ in range(min(random.randint(1, 4), KILLS - kills)):
            with started(run) as running:
                lines = random.randint(run.newest() // 2, LAST // 2 + 1)
                seconds = random.uniform(0, 0.5)
                if not reaches(running, run, lines, seconds):
                    assert ended(running)[0] == [0, 0]
                    break
                victim = kills % 2
                running[victim].kill()
                died = time.monotonic()
                code = running[1 - victim].wait(timeout=2 * BOUND)
                waited = time.monotonic() - died
                codes, texts = ended(running)
            kills += 1
            found.append((victim, run.newest(), code, round(waited, 1)))
            print(found[-1], flush=True)
            assert codes[victim] == -signal.SIGKILL
            assert waited < BOUND
            if code != 0:  # the last lines may already have been written
                text = texts[1 - victim][1]
                sentences = ("another process", "another task died")
                assert any(sentence in text for sentence in sentences), text
                assert code != 143
        finish(run)
        assert_same_run(run, unbroken)
    print(f"{kills} kills of {number} runs: victim, checkpoint, code, seconds: {found}")


@pytest.mark.parametrize("told", [0, 1])
def test_sigterm_stops_an_evaluation(unbroken, tmp_path, told):
    run, folder = Run(tmp_path / "run"), tmp_path / "moments"
    folder.mkdir()
    with started(run, wrapper=(WRAPPER, str(folder), "evaluation")) as running:
        while not (folder / "1").exists():
            assert all(process.poll() is None for process in running), ended(running)
            time.sleep(0.05)
        running[told].send_signal(signal.SIGTERM)
        time.sleep(NOTICE)
        (folder / "1.go").touch()
        codes, texts = ended(running)
    assert codes == [143, 143], texts
    said = texts[0][0] + texts[0][1]
    assert "Iteration 12: evaluation interrupted; it is repeated when" in said
    assert "Stopped by SIGTERM at iteration 12; checkpoint saved" in said
    assert run.newest() == 12
    assert run.evaluations() == []
    finish(run)
    assert_same_run(run, unbroken)
