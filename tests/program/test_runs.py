"""Tests of ``load_run``: the parts of a run, without its dataset."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import wgan_jax
from wgan_jax.errors import CheckpointError, ConfigError, WorkdirError
from wgan_jax.io.images import to_uint8
from wgan_jax.io.loggers import JsonLines
from wgan_jax.parallel.sharding import make_mesh
from wgan_jax.program import trained
from wgan_jax.program.cli import main
from wgan_jax.program.workdir import Workdir

ROOT = Path(__file__).parents[2]
SMALL = [
    "--config=digits_wgan_gp",
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.training.batch_size=16",
    "--config.training.iterations_per_call=1",
    "--config.training.iterations=4",
    "--config.checkpoint.every=2",
    "--config.evaluation=None",
]


def train(workdir, *flags):
    assert main(["wgan-jax", "train", *SMALL, f"--workdir={workdir}", *flags]) == 0


def assert_equal(one, two):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Returns the folder of a run of 4 iterations with checkpoints 2 and 4."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    train(path)
    return path


def test_samples_are_those_of_the_program(workdir, tmp_path):
    flags = ["--config.samples.count=6", "--config.samples.seed=3", "--format=npz"]
    for weights in ("ema", "live"):
        told = [f"--workdir={workdir}", f"--weights={weights}", f"--output={tmp_path}"]
        assert main(["wgan-jax", "sample", *told, *flags]) == 0
        (path,) = tmp_path.glob(f"*{weights}*.npz")
        run = wgan_jax.load_run(workdir, weights=weights)
        assert (run.step, run.generator.card["weights"]) == (4, weights)
        with np.load(path) as file:
            drawn = run.sample(jax.random.key(3), 6)
            np.testing.assert_array_equal(file["images"], to_uint8(np.asarray(drawn)))


def test_training_goes_on_as_in_the_program(workdir):
    run, end = wgan_jax.load_run(workdir, 2), wgan_jax.load_run(workdir)
    step, batches = wgan_jax.make_train_step(run.gan), run.pipeline()
    state = run.state
    for t in range(run.step, end.step):
        state, _ = step(state, batches.batch(t), run.key)
    assert_equal(state, end.state)


def test_snippet_of_the_docs_runs(workdir, tmp_path, monkeypatch):
    text = (ROOT / "docs/how-to/resume.md").read_text()
    (snippet,) = (
        s
        for s in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        if "load_run" in s
    )
    (tmp_path / "runs").mkdir()
    shutil.copytree(workdir, tmp_path / "runs/digits_wgan_gp")
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": "snippet"}
    exec(compile(snippet.replace('"best"', '"latest"'), "resume.md", "exec"), scope)
    assert scope["images"].shape == (64, 8, 8, 1)
    assert int(scope["state"].step) == 4 + 100


def test_replicas_are_read_one_at_a_time(tmp_path):
    train(tmp_path / "two", "--config.training.replicas=2")
    train(tmp_path / "one", "--config.seed=1")
    found = wgan_jax.load_run(tmp_path / "two", replica=1, mesh=make_mesh())
    single = wgan_jax.load_run(tmp_path / "one")
    assert found.key == single.key
    for a, b in zip(*map(jax.tree.leaves, (found.state, single.state)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    for index, words in ((None, "is missing"), (2, "is 2")):
        with pytest.raises(ConfigError, match=f"replica {words}.* in 0 to 1"):
            wgan_jax.load_run(tmp_path / "two", replica=index)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"checkpoint": "newest"}, ConfigError, "checkpoint=newest is not valid"),
        ({"checkpoint": 3}, CheckpointError, "no checkpoint of step 3; choices: 2, 4"),
        ({"checkpoint": "best"}, CheckpointError, "has no best checkpoint"),
        ({"weights": "emma"}, ConfigError, "weights is 'emma'; choices: ema, live"),
        ({"replica": 1}, ConfigError, "has a single run"),
    ],
)
def test_mistakes_are_exceptions(workdir, options, error, message):
    with pytest.raises(error, match=message):
        wgan_jax.load_run(workdir, **options)


def test_other_folders_are_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(WorkdirError, match="not the folder of a run"):
            wgan_jax.load_run(folder)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WorkdirError, match="cannot be read"):
        wgan_jax.load_run(tmp_path)


def test_broken_checkpoint_does_not_end_the_process(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "broken")
    for path in (tmp_path / "broken/checkpoints").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    code = (
        "import sys, wgan_jax\n"
        "try:\n    wgan_jax.load_run(sys.argv[1])\n"
        "except Exception as error:\n    print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "broken"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "CheckpointError\n"), done.stderr


def test_a_model_card_has_the_scores_of_its_weights_by_protocol(tmp_path):
    def line(value, features, **changes):
        protocol = {"metric": "kernel_distance", "split": "s", "features": features}
        results = [{"value": value, "protocol": protocol}]
        return {"step": 2, "weights": "ema", "results": results} | changes

    rows = JsonLines(tmp_path / "evaluations.jsonl")
    for row in (
        line(0.9, "lite0", standing_batches=4),
        line(0.3, "lite0", standing_batches=16),
        line(0.1, "lite0", standing_batches=16),
        line(-0.5, "pixels", standing_batches=16),
        line(0.7, "lite0"),
        line(0.8, "lite0", weights="live"),
    ):
        rows.write(row.pop("step"), row)
    rows.close()
    for batches, expected in ((16, [0.1, -0.5]), (0, [0.7]), (8, [])):
        found = trained._scores(Workdir(tmp_path), 2, "ema", batches)
        assert [score["value"] for score in found] == expected
