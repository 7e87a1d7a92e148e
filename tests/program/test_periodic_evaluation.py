"""Tests of evaluation during training, the best checkpoint and the evaluate mode."""

import json
import shutil
import signal
import subprocess
from contextlib import closing
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from test_program import ROOT, command, iterations, launch, wait_for

from configs import digits_wgan_gp
from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.config.evaluation import build_evaluator
from wgan_jax.data import load_source
from wgan_jax.errors import ConfigError
from wgan_jax.io.json_text import read_lines
from wgan_jax.metrics import FunctionFeatures, Result, describe
from wgan_jax.program import periodic_evaluation as module
from wgan_jax.program.cli import main
from wgan_jax.program.periodic_evaluation import Evaluations
from wgan_jax.program.scoring import Examined
from wgan_jax.program.workdir import Workdir

SMALL = [
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.training.batch_size=16",
    "--config.samples.count=4",
    "--config.log.every=1",
    "--config.evaluation.every=2",
    "--config.evaluation.count=40",
]


def lines(workdir):
    text = (workdir / "evaluations.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines()]
    for line in found:
        line.pop("seconds")
    return found


def best(workdir):
    return [int(p.name) for p in (workdir / "best").iterdir() if p.name.isdecimal()]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "evaluated"
    found = launch(workdir, *SMALL, *iterations(5, every=100))
    assert found.returncode == 0, found.stderr
    return SimpleNamespace(path=workdir, out=found.stdout + found.stderr)


def test_run_is_evaluated_at_intervals_and_at_the_end(run):
    found = lines(run.path)
    assert [(line["step"], line["weights"]) for line in found] == [
        (step, weights) for step in (2, 4, 5) for weights in ("ema", "live")
    ]
    for line in found:
        names = [result["protocol"]["metric"] for result in line["results"]]
        assert names[:2] == ["frechet_distance", "kernel_distance"]
        assert "critic_held_out_gap" in names
        assert all(np.isfinite(r["value"]) for r in line["results"])
        assert line["results"][0]["protocol"]["fake_count"] == 40
        assert line["results"][0]["protocol"]["real_count"] == 40
    scores = {
        line["step"]: line["results"][0]["value"]
        for line in found
        if line["weights"] == "ema"
    }
    assert best(run.path) == [min(scores, key=scores.get)]
    assert "frechet_distance" in run.out
    pictures = {p.name for p in (run.path / "samples").iterdir()}
    for step in (2, 4, 5):
        assert f"interpolation_{step:08d}.png" in pictures
        assert f"neighbours_{step:08d}.png" in pictures
    page = (run.path / "report.html").read_text()
    assert "frechet_distance" in page


def test_resumed_run_has_equal_evaluations(run, tmp_path):
    # As if the run was killed in the evaluation after iteration 4: the checkpoint
    # exists, the record is incomplete, and the best checkpoint is of a later iteration.
    workdir = tmp_path / "broken"
    shutil.copytree(run.path, workdir)
    shutil.rmtree(workdir / "checkpoints" / "5")
    records = (workdir / "evaluations.jsonl").read_text().splitlines(keepends=True)
    (workdir / "evaluations.jsonl").write_text("".join(records[:2]) + records[2][:40])
    found = launch(workdir, *SMALL, *iterations(5, every=100))
    assert found.returncode == 0, found.stderr
    assert "Resuming from iteration 4" in found.stdout
    assert lines(workdir) == lines(run.path)
    assert best(workdir) == best(run.path)


def test_evaluate_mode_reproduces_the_best_evaluation(run, tmp_path):
    workdir = tmp_path / "again"
    shutil.copytree(run.path, workdir)
    flags = ["--mode=evaluate", "--checkpoint=best", *SMALL, *iterations(5, every=100)]
    found = launch(workdir, *flags)
    assert found.returncode == 0, found.stderr
    assert "Not measured" not in found.stdout
    before, after = lines(run.path), lines(workdir)
    assert after[: len(before)] == before
    (step,) = best(workdir)
    again = [line for line in before if line["step"] == step]
    for old, new in zip(again, after[len(before) :], strict=True):
        assert (old["step"], old["weights"]) == (new["step"], new["weights"])
        for a, b in zip(old["results"], new["results"], strict=True):
            assert a["protocol"] == b["protocol"]
            assert a["value"] == pytest.approx(b["value"], rel=1e-6)


def test_an_incomplete_record_is_left_out_by_every_mode(run, tmp_path):
    workdir = tmp_path / "torn"
    shutil.copytree(run.path, workdir)
    path = workdir / "evaluations.jsonl"
    before = path.read_text()
    path.write_text(f"{before}{before[:60]}")  # as left by a killed evaluation
    for mode in ("report", "export", "evaluate", "export"):
        shutil.rmtree(workdir / "export", ignore_errors=True)
        also = ["--formats=stablehlo"] if mode == "export" else []
        arguments = [f"--workdir={workdir}", *also]
        assert main(["wgan-jax", mode, *arguments]) == 0
    card = json.loads((workdir / "export/step_00000005_ema/card.json").read_text())
    added = list(read_lines(path))[before.count("\n") :]
    assert [line["by"] for line in added] == ["evaluate"] * 2
    scores = {score["metric"]: score["value"] for score in card["scores"]}
    result = added[0]["results"][0]
    assert scores[result["protocol"]["metric"]] == result["value"]


def test_evaluate_mode_evaluates_a_file(run, tmp_path):
    images = np.random.RandomState(0).randint(0, 256, (30, 8, 8, 1)).astype(np.uint8)
    path = tmp_path / "mine.npz"
    np.savez(path, images=images)
    flags = [f"--images={path}", "--mode=evaluate", *SMALL]
    found = launch(tmp_path / "none", *flags)
    assert found.returncode == 0, found.stderr
    assert "Not measured: held_out, which needs a run's critic" in found.stdout
    kept = json.loads((tmp_path / "mine.evaluation.json").read_text())
    config = digits_wgan_gp.get_config()
    config.evaluation.count = 40
    evaluator = build_evaluator(config, load_source("digits"))
    expected, _ = evaluator.evaluate(images)
    assert [r["value"] for r in kept["results"]] == pytest.approx(
        [r.value for r in expected], rel=1e-5
    )
    assert kept["results"][0]["protocol"]["fake_count"] == 30
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist"),
        (b"nonsense", "must be an .npz with an array named images"),
        ({"pictures": np.zeros((3, 8, 8, 1), np.uint8)}, "an array named images"),
        ({"images": np.zeros((3, 4, 4, 1), np.uint8)}, "like those of 'digits'"),
        ({"images": np.full((3, 8, 8, 1), 7.0)}, "from 7 to 7; they must be uint8"),
        (
            {"images": np.arange(192.0).reshape(3, 8, 8, 1) / 191},
            "from 0 to 1, so they seem to be in [0, 1] instead of [-1, 1]",
        ),
    ],
    ids=["absent", "nonsense", "other name", "other shape", "other", "ambiguous"],
)
def test_invalid_image_files_are_rejected(tmp_path, content, sentence):
    from wgan_jax.program.evaluate import evaluate

    path = tmp_path / "mine.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    with pytest.raises(ConfigError) as caught:
        evaluate(
            digits_wgan_gp.get_config(),
            Workdir(tmp_path / "none"),
            command="",
            log=lambda line: None,
            images=str(path),
        )
    assert sentence in str(caught.value)
    assert not list(tmp_path.glob("*.json"))


def test_interrupted_last_evaluation_is_repeated(run, tmp_path):
    workdir = tmp_path / "stopped"
    shutil.copytree(run.path, workdir)
    # As after a signal during the evaluation of the last iteration.
    records = (workdir / "evaluations.jsonl").read_text().splitlines(keepends=True)
    (workdir / "evaluations.jsonl").write_text("".join(records[:4]))
    (workdir / "report.html").write_text("stale")
    found = launch(workdir, *SMALL, *iterations(5, every=100))
    assert found.returncode == 0, found.stderr
    assert "Iteration 5 has already been reached" in found.stdout
    assert lines(workdir) == lines(run.path)
    assert (workdir / "report.html").read_text() != "stale"


def test_signal_stops_an_evaluation_and_the_run(tmp_path):
    workdir = tmp_path / "stopped"
    flags = [*SMALL, *iterations(50, every=100), "--config.evaluation.every=10"]
    flags += ["--config.evaluation.count=200000"]  # takes minutes
    process = subprocess.Popen(
        command(workdir, *flags),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(workdir / "checkpoints" / "10", process)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Iteration 10: evaluation interrupted" in out
    assert "Stopped by SIGTERM at iteration 10" in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--mode=report", "--output={tmp}"], "{tmp}"),
        (["--mode=evaluate"], "evaluations.jsonl"),
    ],
)
def test_unwritable_output_is_reported(run, tmp_path, flags, named):
    workdir = tmp_path / "run"
    shutil.copytree(run.path, workdir)
    (workdir / "evaluations.jsonl").unlink()
    (workdir / "evaluations.jsonl").mkdir()
    if "--mode=report" in flags:
        (workdir / "evaluations.jsonl").rmdir()
    flags = [flag.format(tmp=tmp_path) for flag in flags]
    found = launch(workdir, *SMALL, *iterations(5, every=100), *flags)
    assert found.returncode == 2, found.stderr
    assert named.format(tmp=tmp_path) in found.stderr
    assert "Traceback" not in found.stderr


# --- the best checkpoint, with given scores


EXTRACTOR = FunctionFeatures(lambda x: x, "f", "v", 1)


class Trained:
    """Run with given scores by iteration."""

    def __init__(self, folder, monkeypatch):
        self.workdir = Workdir(folder)
        self.workdir.samples.mkdir(parents=True)
        self.said, self.count = [], 10
        self.scores, self.replicas = {}, ("",)
        config = ml_collections.ConfigDict(
            {
                "training": {"iterations": 1000},
                "evaluation": {"every": 1, "best_by": "frechet_distance"},
            }
        )
        self.experiment = SimpleNamespace(config=config)
        monkeypatch.setattr(module, "draw_pictures", lambda *of: None)
        monkeypatch.setattr(module, "examine", self._examine)

    def _examine(self, experiment, evaluator, state, *, stages, agree):
        stages.update("features", 1, 2)
        protocol = describe(
            EXTRACTOR,
            metric="frechet_distance",
            real_count=self.count,
            fake_count=self.count,
            split="s",
            seed=0,
        )
        score = self.scores[int(state["step"])]
        if isinstance(score, Exception):
            raise score
        for k, run in enumerate(self.replicas):
            for weights, more in (("ema", 0.0), ("live", 10.0)):
                result = Result(score + k + more, protocol)
                yield Examined(run, weights, [result], None, 1.0)

    def open(self, *, start, better="lower", signal=None):
        return Evaluations(
            self.workdir,
            self.experiment,
            SimpleNamespace(reports={"frechet_distance": better}),
            start=start,
            interruption=SimpleNamespace(due=lambda: signal is not None),
            log=self.said.append,
        )

    def meta(self):
        with Checkpoints(self.workdir.best, keep=1, read_only=True) as checkpoints:
            (step,) = checkpoints.steps()
            return checkpoints.meta(step)

    def train(self, scores, *, start=0, better="lower", signal=None):
        self.scores |= scores
        with closing(
            self.open(start=start, better=better, signal=signal)
        ) as evaluations:
            for step in scores:
                state = {"step": jnp.asarray(step), "x": jnp.full(3, 1.0 * step)}
                assert evaluations.due(step)
                evaluations.run(step, state)
                assert evaluations.due(step) == (signal is not None)

    def best(self):
        target = {
            "step": jax.ShapeDtypeStruct((), jnp.int32),
            "x": jax.ShapeDtypeStruct((3,), jnp.float32),
        }
        with Checkpoints(self.workdir.best, keep=1, read_only=True) as checkpoints:
            assert len(checkpoints.steps()) == 1
            state, meta, step = checkpoints.restore(target)
        assert float(state["x"][0]) == step == meta["iteration"]
        assert meta["score"] == self.scores[step]
        return step


@pytest.fixture
def trained(tmp_path, monkeypatch):
    return Trained(tmp_path / "run", monkeypatch)


def test_best_checkpoint_is_kept(trained):
    trained.train({1: 50.0, 2: 30.0, 3: 40.0, 4: 20.0, 5: 60.0})
    assert trained.best() == 4
    trained.train({6: 25.0}, start=5)  # after a restart
    assert trained.best() == 4
    trained.train({7: 19.0}, start=6)
    assert trained.best() == 7


def test_best_checkpoint_for_higher_is_better(trained):
    trained.train({1: 0.5, 2: 0.7, 3: 0.6}, better="higher")
    assert trained.best() == 2


def test_best_of_lost_iterations_is_replaced_if_worse(trained):
    trained.train({1: 9.0, 2: 8.0, 3: 5.0})
    # Resumed from iteration 1 with different intervals.
    trained.train({2: 8.0}, start=1)
    assert trained.best() == 3
    trained.train({2: 4.0}, start=1)
    assert trained.best() == 2


def test_scores_of_different_protocols_are_not_compared(trained):
    trained.train({1: 1.0})
    trained.count = 20
    trained.train({2: 7.0}, start=1)
    assert trained.best() == 2


def test_failed_evaluation_is_logged_without_record(trained):
    trained.scores[1] = ValueError("the features are not finite.")
    with pytest.raises(AssertionError):  # the evaluation is still due
        trained.train({1: trained.scores[1]})
    assert trained.said == [
        "Iteration 1: evaluation failed: the features are not finite."
    ]
    assert trained.workdir.evaluations.read_text() == ""


def test_interrupted_evaluation_is_due_again(trained):
    trained.train({3: 1.0}, signal=15)
    assert "evaluation interrupted" in trained.said[0]
    trained.train({3: 1.0}, start=3)
    assert trained.best() == 3
    assert lines(trained.workdir.path)[0]["step"] == 3


def test_best_with_different_protocol_is_replaced(trained):
    trained.train({1: 1.0, 2: 0.5})
    trained.count = 20
    trained.train({2: 7.0}, start=1)
    assert trained.best() == 2  # with a score of the new protocol


def test_results_are_named_by_weights_and_replica(trained):
    trained.replicas = ("seed=0", "seed=1")
    trained.scores[1] = 2.0
    with closing(trained.open(start=0)) as evaluations:
        values = evaluations.run(1, {"step": jnp.asarray(1), "x": jnp.full(3, 1.0)})
    assert values == {
        f"evaluation/seed={k}/{weights}/frechet_distance": 2.0
        + k
        + 10 * (weights != "ema")
        for k in (0, 1)
        for weights in ("ema", "live")
    }
    assert (
        "2.5 (f, 10 examples, mean of 2 runs), ema weights, in 4 s" in trained.said[0]
    )
    meta_score = trained.meta()["score"]
    assert meta_score == 2.5  # mean of the EMA weights over replicas


def test_broken_best_checkpoint_is_replaced(trained):
    trained.train({1: 1.0})
    (trained.workdir.best / "1" / "inventory" / "metadata").write_text("{")
    trained.train({2: 7.0}, start=1)
    assert any("the best checkpoint, 1, is broken" in line for line in trained.said)
    assert trained.best() == 2


def test_records_of_evaluate_mode_are_ignored(trained):
    trained.train({1: 3.0})
    with trained.workdir.evaluations.open("a") as file:
        file.write(json.dumps({"step": 2, "by": "evaluate", "results": []}) + "\n")
    trained.train({2: 2.0}, start=2)  # asserts that the evaluation is due
    assert trained.best() == 2


def test_records_after_the_start_are_dropped(trained):
    trained.train({1: 3.0, 2: 2.0, 3: 1.0})
    trained.train({2: 2.0}, start=1)
    assert [line["step"] for line in lines(trained.workdir.path)] == [1, 1, 2, 2]
