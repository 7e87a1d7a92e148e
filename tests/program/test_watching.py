"""Tests of what others learn of a run: callbacks, times and the heartbeat."""

import json
import os
import re
from pathlib import Path

import pytest

from wgan_jax.program import heartbeat
from wgan_jax.program.cli import main
from wgan_jax.program.heartbeat import Heartbeat

PAGE = (Path(__file__).parents[2] / "docs/how-to/trackers.md").read_text()
SMALL = (
    "--config=digits_wgan_gp",
    "--config.training.iterations=4",
    "--config.training.iterations_per_call=2",
    "--config.training.batch_size=8",
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.log.every=2",
    "--config.checkpoint.every=2",
    "--config.samples.every=2",
    "--config.samples.count=4",
    "--config.evaluation.every=4",
    "--config.evaluation.count=20",
    "--config.evaluation.measures=('frechet',)",
)
OWN = """
import json
from pathlib import Path

class Keeper(Callback):
    def __init__(self, run):
        self._file = run.folder / "kept.txt"
        self._add("start", run.start, run.config["seed"])

    def _add(self, *values):
        with self._file.open("a") as file:
            file.write(json.dumps(values) + "\\n")

    def on_step(self, step, metrics):
        self._add("step", step, metrics["critic/loss"])

    def on_checkpoint(self, step, folder):
        self._add("checkpoint", step, folder.name)

    def on_evaluation(self, step, values):
        self._add("evaluation", step, sorted(values))

    def on_samples(self, step, pictures):
        assert all(path.exists() for path in pictures)
        self._add("samples", step, [path.name for path in pictures])

    def close(self):
        self._add("close")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    snippets = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    [documented] = [text for text in snippets if "Callback" in text]
    (folder / "mine_to_watch.py").write_text(documented + OWN)
    names = ("mine_to_watch:Printer", "mine_to_watch:Keeper", "prometheus")
    before = Path.cwd()
    os.chdir(folder)
    try:
        flags = [f"--workdir={folder / 'run'}", f"--config.log.callbacks={names}"]
        assert main(["wgan-jax", "train", *SMALL, *flags]) == 0
    finally:
        os.chdir(before)
    return folder / "run"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_callbacks_are_called_in_order(run):
    found = lines(run / "kept.txt")
    metrics = {line["step"]: line for line in lines(run / "metrics.jsonl")}
    assert found[0] == ["start", 0, 0]
    assert found[-1] == ["close"]
    steps = [row for row in found if row[0] == "step"]
    assert steps == [["step", n, metrics[n]["critic/loss"]] for n in (2, 4)]
    saved = [row for row in found if row[0] == "checkpoint"]
    assert saved == [["checkpoint", 2, "2"], ["checkpoint", 4, "4"]]
    drawn = [row[1:] for row in found if row[0] == "samples"]
    names = [f"step_0000000{{}}{suffix}.png" for suffix in ("", "_live")]
    assert drawn == [[n, [name.format(n) for name in names]] for n in (2, 4)]
    assert all(
        (run / "samples" / name).exists() for _, files in drawn for name in files
    )
    [evaluated] = [row for row in found if row[0] == "evaluation"]
    assert evaluated[1] == 4
    assert any("frechet_distance" in name for name in evaluated[2])
    assert "wgan_jax_iterations" in (run / "metrics.prom").read_text()


def test_metrics_have_times(run):
    rows = lines(run / "metrics.jsonl")
    created = (run / "config.json").stat().st_mtime
    times = [row["time/utc"] for row in rows]
    assert created <= times[0] <= times[1] <= (run / "report.html").stat().st_mtime + 1
    seconds = [row["time/seconds"] for row in rows]
    assert 0 < seconds[0] <= seconds[1]
    assert "time/utc" not in (run / "report.html").read_text()


def test_the_heartbeat_of_a_finished_run_says_so(run):
    found = json.loads((run / "heartbeat.json").read_text())
    assert found["stage"] == "done"
    assert found["iterations"] == 4
    assert found["pid"] == os.getpid()


def test_heartbeats_are_written_at_most_every_ten_seconds(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: clock[0])
    path = tmp_path / "heartbeat.json"
    beats = Heartbeat(path)

    def state(stage, iterations, after=0.0):
        clock[0] += after
        beats.beat(stage, iterations)
        found = json.loads(path.read_text())
        return found["stage"], found["iterations"]

    assert state("training", 0) == ("training", 0)
    assert state("training", 5, after=9) == ("training", 0)
    assert state("training", 6, after=2) == ("training", 6)
    assert state("evaluation", 7) == ("evaluation", 7)
    beats.end()
    assert json.loads(path.read_text())["stage"] == "failed"
    assert state("done", 9) == ("done", 9)
    beats.end()
    assert json.loads(path.read_text())["stage"] == "done"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("promm", "config.log.callbacks: the callback 'promm' is not known"),
        ("nowhere:X", "config.log.callbacks: 'nowhere:X' cannot be imported"),
    ],
)
def test_unknown_callbacks_are_a_sentence(name, message, tmp_path, capsys):
    flags = [f"--workdir={tmp_path / 'run'}", f"--config.log.callbacks={name}"]
    assert main(["wgan-jax", "train", *SMALL, *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
