"""Runs that are killed at random moments and started again."""

import os
import time

import numpy as np
import pytest
from faults.harness import Run, assert_same_run, seconds_of

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
    expected, seconds = unbroken
    # A run that goes on from a checkpoint ends sooner than one that begins.
    lasts = {"begin": seconds, "go on": seconds}
    random = np.random.RandomState(0)
    kills, number = 0, 0
    while kills < KILLS:
        run, kind = Run(tmp_path / f"run{number}"), "begin"
        number += 1
        while kills < KILLS:
            # Some die while they start or compile, others in training or in the report.
            began = time.monotonic()
            if not run.kill_after(random.uniform(0.1, 1.0) * lasts[kind]):
                lasts[kind] = time.monotonic() - began
                break
            kills += 1
            kind = "go on" if run.newest() else "begin"
        assert run.finish() == 0, run.errors[-1]
        assert_same_run(run, expected)
        print(f"{kills} kills of {number} runs", flush=True)
