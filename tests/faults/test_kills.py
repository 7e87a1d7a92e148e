"""Runs that are killed at random moments and started again."""

import os

import numpy as np
import pytest
from faults.harness import LAST, Run, assert_same_run, seconds_of

# The default run takes a few; FAULTS=100 takes as many as wanted.
KILLS = int(os.environ.get("FAULTS", "4"))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    run = Run(tmp_path_factory.mktemp("unbroken") / "run")
    seconds_of(run)  # fills the compilation cache
    again = Run(tmp_path_factory.mktemp("again") / "run")
    seconds = seconds_of(again)
    assert_same_run(again, run)
    return run, seconds


def test_killed_runs_end_as_the_unbroken_one(unbroken, tmp_path):
    expected, whole = unbroken
    random = np.random.RandomState(0)
    kills, number = 0, 0
    newest = []  # checkpoints at the moments of the kills
    while kills < KILLS:
        run = Run(tmp_path / f"run{number}")
        number += 1
        for _ in range(min(random.randint(1, 4), KILLS - kills)):
            # What is left of training takes about half of a run.
            lasts = whole * (1 - 0.5 * run.newest() / LAST)
            # Some die while they start or compile, others in training or in the report.
            if not run.kill_after(random.uniform(0.1, 1.0) * lasts):
                break
            kills += 1
            newest.append(run.newest())
        assert run.finish() == 0, run.errors[-1]
        assert_same_run(run, expected)
        print(f"{kills} kills of {number} runs", flush=True)
    print("newest checkpoints when killed:", sorted(newest))
