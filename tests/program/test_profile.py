"""Tests of profiling some iterations of a run."""

import gzip
import json
import re

from test_program import SMALL, iterations, launch


def spans(folder):
    (path,) = folder.rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    return [event["name"] for event in events if event.get("ph") == "X"]


def test_given_number_of_iterations_is_traced(tmp_path):
    done = launch(tmp_path / "run", "--profile=3", *SMALL, *iterations(8))
    assert done.returncode == 0, done.stderr
    assert "Iterations 3 to 5: trace in" in done.stderr
    names = spans(tmp_path / "run" / "profile")
    puts = [name for name in names if re.fullmatch(r"\$setup\.py:\d+ put", name)]
    assert len(puts) == 3, "one batch per iteration"


def test_short_run_is_traced_to_its_end(tmp_path):
    done = launch(tmp_path / "run", "--profile=5", *SMALL, *iterations(1))
    assert done.returncode == 0, done.stderr
    assert "Iterations 1 to 1: trace in" in done.stderr


def test_profile_of_zero_iterations_is_rejected(tmp_path):
    done = launch(tmp_path / "run", "--profile=0", *SMALL, *iterations(1))
    assert done.returncode == 2
    assert "--profile" in done.stderr
    assert not (tmp_path / "run").exists()
