"""A trace of a few iterations of a run."""

import gzip
import json
import re

from test_program import SMALL, iterations, launch


def spans(folder):
    (path,) = folder.rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    return [event["name"] for event in events if event.get("ph") == "X"]


def test_the_iterations_asked_for_are_traced(tmp_path):
    done = launch(tmp_path / "run", "--profile=3", *SMALL, *iterations(8))
    assert done.returncode == 0, done.stderr
    assert "Iterations 3 to 5: trace in" in done.stderr
    names = spans(tmp_path / "run" / "profile")
    puts = [name for name in names if re.fullmatch(r"\$setup\.py:\d+ put", name)]
    assert len(puts) == 3, "one batch an iteration"


def test_a_run_that_ends_before_is_traced_as_far_as_it_goes(tmp_path):
    done = launch(tmp_path / "run", "--profile=5", *SMALL, *iterations(1))
    assert done.returncode == 0, done.stderr
    assert "Iterations 1 to 1: trace in" in done.stderr


def test_no_iterations_are_no_trace(tmp_path):
    done = launch(tmp_path / "run", "--profile=0", *SMALL, *iterations(1))
    assert done.returncode == 2
    assert "--profile" in done.stderr
    assert not (tmp_path / "run").exists()
