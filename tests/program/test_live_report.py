"""Tests of the report during a run, after its end, and of the pictures in it."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from wgan_jax.data import load_source
from wgan_jax.errors import Diverged
from wgan_jax.program import gallery, live_report, periodic_evaluation, report
from wgan_jax.program.cli import main
from wgan_jax.program.heartbeat import Heartbeat
from wgan_jax.program.live_report import LiveReport, reported
from wgan_jax.program.recorder import Recorder
from wgan_jax.program.saving import Saver
from wgan_jax.program.workdir import Workdir
from wgan_jax.report import ReportError

ROOT = Path(__file__).parents[2]
SMALL = (
    "--config=digits_conditional",
    "--config.training.iterations=4",
    "--config.training.batch_size=8",
    "--config.training.n_critic=1",
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.log.every=1",
    "--config.checkpoint.every=2",
    "--config.samples.every=2",
    "--config.samples.count=20",
    "--config.evaluation.every=0",
)


def train(folder, *flags):
    return main(["wgan-jax", "train", *SMALL, f"--workdir={folder}", *flags])


def page(folder):
    """Returns the text of the summary of a run's report."""
    text = (folder / "report.html").read_text()
    part = text[text.index("<main>") : text.index('id="samples"')]
    return " ".join(re.sub(r"<[^>]*>", " ", part).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reported") / "run"
    assert train(folder) == 0
    return folder


def test_a_finished_run_has_a_report_with_all_pictures(run):
    assert "Finished" in page(run)
    text = (run / "report.html").read_text()
    assert 'data-reload="0"' in text
    for alt in (
        "Real examples of digits, train",
        "Samples of run at iteration 4",
        "Classes of run at iteration 4",
        "Interpolation of run at iteration 4",
    ):
        assert f'alt="{alt}' in text


def test_the_record_has_parameters_and_the_machine(run):
    record = json.loads((run / "config.json").read_text())
    assert set(record["parameters"]) == {"generator", "critic"}
    assert min(record["parameters"].values()) > 1000
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["processor"] in page(run)


def test_real_examples_have_the_classes_of_the_samples(run):
    shown = np.asarray(Image.open(run / "samples/real.png"))
    source = load_source("digits", split="train")
    images, labels = source.images[..., 0], source.labels
    side = (shown.shape[1] - 4) // 5 - 4
    for i in (0, 3, 13):
        top, left = (4 + place * (side + 4) for place in divmod(i, 5))
        cell = shown[top : top + side : side // 8, left : left + side : side // 8]
        found = (images == cell).all(axis=(1, 2))
        assert set(labels[found]) == {i % 10}


def test_report_mode_draws_what_is_missing(run, capsys):
    before = {}
    for name in ("real", "classes_00000004", "interpolation_00000004"):
        path = run / f"samples/{name}.png"
        before[path] = path.read_bytes()
        path.unlink()
    assert main(["wgan-jax", "report", f"--workdir={run}"]) == 0
    assert "Drawing interpolation and classes of" in capsys.readouterr().out
    for path, content in before.items():
        assert path.read_bytes() == content, path
    assert main(["wgan-jax", "report", f"--workdir={run}"]) == 0
    assert "Drawing" not in capsys.readouterr().out


def test_report_mode_needs_no_checkpoint(run, tmp_path, capsys):
    for name in ("config.json", "metrics.jsonl", "samples/real.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert main(["wgan-jax", "report", f"--workdir={tmp_path}"]) == 0
    (tmp_path / "checkpoints/4").mkdir(parents=True)
    assert main(["wgan-jax", "report", f"--workdir={tmp_path}"]) == 0
    assert "are left out: " in capsys.readouterr().err


def without_pictures(run, folder):
    """Copies a run without its pictures and checkpoints; returns the new folder."""
    for name in ("config.json", "metrics.jsonl"):
        (folder / name).write_bytes((run / name).read_bytes())
    return folder


def test_report_mode_needs_no_device(run, tmp_path):
    folder = without_pictures(run, tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "wgan_jax", "report", f"--workdir={folder}"],
        env=os.environ | {"JAX_PLATFORMS": "absent"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stderr.splitlines()
    told = f"Some pictures of {folder} are left out: RuntimeError: Unable to initialize"
    assert line.startswith(told)
    assert "critic/loss" in (folder / "report.html").read_text()


def test_report_mode_needs_no_memory_of_a_device(run, tmp_path, monkeypatch, capsys):
    folder = without_pictures(run, tmp_path)

    def fail(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of\nmemory.")

    monkeypatch.setattr(report, "prepare", fail)
    assert main(["wgan-jax", "report", f"--workdir={folder}"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    told = "are left out: JaxRuntimeError: RESOURCE_EXHAUSTED: Out of memory."
    assert line == f"Some pictures of {folder} {told}"
    assert "critic/loss" in (folder / "report.html").read_text()


def test_an_interrupted_run_has_a_report(tmp_path, monkeypatch):
    kept = Saver.save

    def stop(self, step, state):
        kept(self, step, state)
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Saver, "save", stop)
    assert train(tmp_path / "run") == 143
    text = page(tmp_path / "run")
    assert "Interrupted" in text
    assert "Iterations 3 of 4" in text


OPENED = ("config.json", "run.lock", "evaluations.jsonl")  # by every start


def times(folder):
    """Returns when each file of a run was written that not every start opens."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    kept = [path for path in files if path.name not in OPENED]
    return {path: path.stat().st_mtime_ns for path in kept}


def stop_at_the_end(step):
    """Stops a run, in place of a signal, when its last checkpoint is saved."""
    if step == 4:
        os.kill(os.getpid(), signal.SIGTERM)


def kill_at_the_end(step):
    """Ends a run, in place of SIGKILL, when its last checkpoint is saved."""
    if step == 4:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("event", "code", "before"),
    [(stop_at_the_end, 143, "interrupted"), (kill_at_the_end, 130, "training")],
)
def test_a_run_that_was_stopped_at_its_end_is_finished_by_the_same_command(
    tmp_path, monkeypatch, event, code, before
):
    kept = Saver.save

    def save(self, step, state):
        kept(self, step, state)
        event(step)

    with monkeypatch.context() as patch:
        patch.setattr(Saver, "save", save)
        if event is kill_at_the_end:
            patch.setattr(Heartbeat, "end", lambda self: None)
        assert train(tmp_path / "run") == code
    run = tmp_path / "run"
    beat = json.loads((run / "heartbeat.json").read_text())
    assert beat["stage"] == before
    (run / "heartbeat.json").write_text(json.dumps(beat | {"warnings": ["a kind"]}))
    assert not list(run.glob("samples/classes_*.png"))
    (run / "samples/interpolation_00000004.png").write_bytes(b"drawn before")
    (run / "report.html").write_text("<main>stale")
    assert train(run) == 0
    assert "Finished" in page(run)
    beat = json.loads((run / "heartbeat.json").read_text())
    assert (beat["stage"], beat["iterations"]) == ("done", 4)
    assert beat["warnings"] == ["a kind"]
    assert (run / "samples/classes_00000004.png").exists()
    drawn = (run / "samples/interpolation_00000004.png").read_bytes()
    assert drawn == b"drawn before"


def test_a_last_evaluation_that_is_made_later_is_in_the_report(tmp_path, monkeypatch):
    run = tmp_path / "run"
    flags = ["--config.evaluation.every=4", "--config.evaluation.count=40"]
    kept, examine = Saver.save, periodic_evaluation.examine

    def save(self, step, state):
        kept(self, step, state)
        stop_at_the_end(step)

    def stopped(*of, **named):
        os.kill(os.getpid(), signal.SIGTERM)
        return examine(*of, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Saver, "save", save)
        assert train(run, *flags) == 143
    before = times(run)
    with monkeypatch.context() as patch:
        patch.setattr(periodic_evaluation, "examine", stopped)
        assert train(run, *flags) == 143
    assert times(run) == before, "an interrupted evaluation is no end"
    assert "Interrupted" in page(run)
    assert train(run, *flags) == 0
    assert "Finished" in page(run)
    assert "Fréchet distance" in (run / "report.html").read_text()
    done = times(run)
    names = {path.name for path in done if path not in before}
    assert names > {"classes_00000004.png", "interpolation_00000004.png"}
    # The evaluation is made again, because its record is lost.
    (run / "evaluations.jsonl").write_text("")
    assert train(run, *flags) == 0
    after = times(run)
    for name in ("report.html", "heartbeat.json"):
        assert after[run / name] > done[run / name], name


def test_a_finished_run_is_left_as_it_is(run):
    before = times(run)
    assert train(run) == 0
    assert times(run) == before


def test_a_deleted_report_of_a_finished_run_is_written_again(run):
    (run / "report.html").unlink()
    (run / "samples/classes_00000004.png").unlink()
    before = times(run)
    assert train(run) == 0
    after = times(run)
    assert {path.name for path in set(after) - set(before)} == {
        "report.html",
        "classes_00000004.png",
    }
    assert before.items() <= after.items(), "the time of its end is kept, too"


@pytest.mark.parametrize("kind", [Diverged, RuntimeError])
def test_a_failed_run_has_a_report_that_says_why(tmp_path, monkeypatch, kind):
    kept = Recorder._check

    def fail(self, step, fetched):
        if step == 3:
            raise kind("iteration 3: <critic/loss> not finite.\nMore.")
        kept(self, step, fetched)

    monkeypatch.setattr(Recorder, "_check", fail)
    if kind is Diverged:
        assert train(tmp_path / "run") == 1
    else:
        with pytest.raises(RuntimeError, match="iteration 3"):
            train(tmp_path / "run")
    text = page(tmp_path / "run")
    assert "Failed" in text
    assert "iteration 3: &lt;critic/loss&gt; not finite." in text
    assert "More" not in text
    assert "Iterations 2 of 4" in text


def test_a_report_that_fails_is_a_warning(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise AttributeError("no such\nthing")

    monkeypatch.setattr(live_report, "write_report", fail)
    assert train(tmp_path / "run") == 0
    told = capsys.readouterr().err
    assert told.count("No report was written: AttributeError: no such thing") == 1
    assert not (tmp_path / "run/report.html").exists()


@pytest.fixture
def live(run, tmp_path, monkeypatch):
    """Returns a run in training, its clock, and the messages on its reports."""
    without_pictures(run, tmp_path)
    clock, told = [100.0], []
    monkeypatch.setattr(live_report.time, "monotonic", lambda: clock[0])
    return SimpleNamespace(workdir=Workdir(tmp_path), clock=clock, told=told)


def wait(report):
    if report._pending is not None:
        report._pending.result()


def test_report_is_rewritten_at_intervals(live):
    path = live.workdir.report
    report = LiveReport(live.workdir, minutes=2, log=live.told.append)

    def update(at):
        path.unlink(missing_ok=True)
        live.clock[0] = at
        report.update()
        wait(report)
        return path.exists()

    assert [update(at) for at in (101, 129)] == [False, False]
    assert update(130), "soon after the start"
    assert [update(at) for at in (131, 249)] == [False, False]
    assert update(250)
    report.close()
    assert not live.told


def test_slow_reports_are_rarer(live, monkeypatch):
    def slow(*_):
        live.clock[0] += 10

    monkeypatch.setattr(live_report, "write_report", slow)
    report = LiveReport(live.workdir, minutes=1, log=live.told.append)
    live.clock[0] = 200
    report.update()
    wait(report)
    assert report._next == 210 + 500, "at most two percent of the time"


def test_no_minutes_are_no_updates(live):
    report = LiveReport(live.workdir, minutes=0, log=live.told.append)
    live.clock[0] = 1e9
    report.update()
    assert report._pending is None


def test_reports_that_fail_are_one_warning(live, monkeypatch):
    def fail(*_):
        raise ReportError("the folder is away.")

    monkeypatch.setattr(live_report, "write_report", fail)
    report = LiveReport(live.workdir, minutes=1, log=live.told.append)
    for at in (200, 300, 400):
        live.clock[0] = at
        report.update()
        wait(report)
    assert live.told == ["report.html was not updated: the folder is away."]


def test_a_run_without_metrics_has_no_report_yet(live):
    live.workdir.metrics.write_text("")
    report = LiveReport(live.workdir, minutes=1, log=live.told.append)
    live.clock[0] = 200
    report.update()
    wait(report)
    assert not live.told
    assert not live.workdir.report.exists()


def test_a_second_interrupt_is_not_delayed_by_the_report(live):
    with (
        pytest.raises(KeyboardInterrupt),
        reported(live.workdir, log=live.told.append),
    ):
        raise KeyboardInterrupt
    assert not live.workdir.report.exists()


def test_classes_are_rows_and_latents_columns(tmp_path, monkeypatch):
    drawn = {}

    def draw(gan, params, state, z, *, labels):
        drawn["z"], drawn["labels"] = np.asarray(z), np.asarray(labels)
        yield np.zeros((len(z), 4, 4, 1), np.float32)

    monkeypatch.setattr(gallery, "generate_from_latents", draw)
    monkeypatch.setattr(gallery, "generator_weights", lambda *_, **__: (None, None))
    monkeypatch.setattr(gallery, "with_standing_statistics", lambda *_: None)
    gan = SimpleNamespace(
        conditional=SimpleNamespace(classes=3),
        latent_size=5,
        prior="normal",
        ema_decay=None,
    )
    experiment = SimpleNamespace(
        runs=lambda _: iter([("", gan, SimpleNamespace(step=7))]),
        source=SimpleNamespace(example_shape=(4, 4, 1)),
        config=SimpleNamespace(samples=SimpleNamespace(seed=0)),
    )
    gallery.draw_classes(experiment, None, tmp_path)
    assert drawn["labels"].reshape(3, 10).T.tolist() == [[0, 1, 2]] * 10
    rows = drawn["z"].reshape(3, 10, 5)
    assert (rows == rows[0]).all()
    assert len(np.unique(rows[0, :, 0])) == 10
    assert (tmp_path / "classes_00000007.png").exists()
