"""Tests of ``--fork`` and ``--init``: runs that start from an earlier one."""

import json
import re
import shutil

import jax
import numpy as np
import pytest
from test_runs import SMALL, assert_equal, train

import wgan_jax
from wgan_jax import zoo
from wgan_jax.io.weights import save_weights
from wgan_jax.program.cli import main

LONGER = "--config.training.iterations=6"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Returns the folder of a run of 4 iterations with checkpoints 2 and 4."""
    path = tmp_path_factory.mktemp("runs") / "first"
    train(path)
    return path


def start(kind, source, workdir, *flags, code=0):
    config = [*SMALL, "--config.checkpoint.keep=9"] if kind == "init" else []
    flags = [f"--{kind}={source}", f"--workdir={workdir}", *config, *flags]
    assert main(["wgan-jax", "train", *flags]) == code


def complaint(capsys, *arguments):
    capsys.readouterr()
    start(*arguments, code=2)
    return capsys.readouterr().err


def origin(workdir):
    return json.loads((workdir / "config.json").read_text())["origin"]


def test_fork_goes_on_with_the_whole_state(run, tmp_path):
    start("fork", run, tmp_path / "same", "--checkpoint=2", "--config.log.every=1")
    one, two = (wgan_jax.load_run(path).state for path in (run, tmp_path / "same"))
    assert_equal(one, two)
    steps = [
        json.loads(line)["step"]
        for line in (tmp_path / "same/metrics.jsonl").read_text().splitlines()
    ]
    assert steps == [3, 4]
    record = origin(tmp_path / "same")
    assert (record["source"], record["step"]) == (str(run), 2)
    assert record["differences"] == ["log.every: 10 -> 1"]


def test_fork_with_other_settings_is_recorded_and_reported(run, tmp_path, capsys):
    rate = "--config.optimizer.critic.learning_rate=1e-5"
    flags = [LONGER, rate, "--config.seed=5", "--config.log.every=1"]
    start("fork", run, tmp_path / "new", *flags)
    told = capsys.readouterr().out
    assert f"Forked from {run}, iteration 4; changed: log.every" in told
    found = wgan_jax.load_run(tmp_path / "new", 4)
    assert_equal(found.state, wgan_jax.load_run(run).state)
    assert wgan_jax.load_run(tmp_path / "new").step == 6
    changes = ["optimizer.critic.learning_rate: 0.0005 -> 1e-05", "seed: 0 -> 5"]
    assert changes[0] in origin(tmp_path / "new")["differences"]
    page = (tmp_path / "new/report.html").read_text()
    assert "Forked from" in page
    assert "Changes from the run that it started from" in page
    assert all(line.replace("->", "-&gt;") in page for line in changes)


def test_parts_that_do_not_fit_are_new(run, tmp_path):
    flags = ["--config.optimizer.critic.name=rmsprop", "--config.penalty.every=2"]
    start("fork", run, tmp_path / "new", LONGER, *flags)
    assert origin(tmp_path / "new")["renewed"] == ["critic.opt_state", "penalties"]
    before, after = wgan_jax.load_run(run), wgan_jax.load_run(tmp_path / "new", 4)
    assert_equal(before.state.critic.params, after.state.critic.params)
    assert_equal(before.state.generator, after.state.generator)
    fresh = after.gan.critic_optimizer.init(after.state.critic.params)
    assert_equal(fresh, after.state.critic.opt_state)


def test_replicas_are_forked_with_a_new_optimizer(tmp_path):
    two = "--config.training.replicas=2"
    train(tmp_path / "two", two)
    flags = [LONGER, "--config.optimizer.critic.name=rmsprop"]
    start("fork", tmp_path / "two", tmp_path / "new", *flags)
    assert origin(tmp_path / "new")["renewed"] == ["critic.opt_state"]
    for k in range(2):
        one, two = (
            wgan_jax.load_run(tmp_path / name, 4, replica=k).state
            for name in ("two", "new")
        )
        assert_equal(one.generator, two.generator)


def test_new_average_starts_as_the_generator(run, tmp_path):
    flags = ["--config.training.ema_decay=None", LONGER]
    start("fork", run, tmp_path / "none", *flags)
    flags = ["--config.training.ema_decay=0.9", "--config.training.iterations=8"]
    start("fork", tmp_path / "none", tmp_path / "again", *flags)
    state = wgan_jax.load_run(tmp_path / "again", 6).state
    assert_equal(state.ema_params, state.generator.params)
    assert_equal(state.ema_model_state, state.generator.model_state)


def test_forked_run_resumes_without_its_origin(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "copy")
    new = tmp_path / "new"
    start("fork", tmp_path / "copy", new, LONGER)
    known = origin(new)
    shutil.rmtree(new / "checkpoints/6")
    shutil.rmtree(tmp_path / "copy")
    assert (
        main(["wgan-jax", "train", f"--config={new}/config.json", f"--workdir={new}"])
        == 0
    )
    assert "Resuming from iteration 4" in capsys.readouterr().out
    assert origin(new) == known


def test_interrupted_start_is_repeated_from_the_record(run, tmp_path):
    shutil.copytree(run, tmp_path / "copy")
    new, again = tmp_path / "new", [f"--workdir={tmp_path / 'new'}"]
    start("fork", tmp_path / "copy", new, "--checkpoint=2")
    shutil.rmtree(new / "checkpoints")
    assert main(["wgan-jax", "train", f"--config={new}/config.json", *again]) == 0
    assert wgan_jax.load_run(new, 2).step == 2
    # The origin must be what it was.
    shutil.rmtree(new / "checkpoints")
    train(tmp_path / "other", "--config.seed=8")
    shutil.rmtree(tmp_path / "copy/checkpoints")
    shutil.copytree(tmp_path / "other/checkpoints", tmp_path / "copy/checkpoints")
    assert main(["wgan-jax", "train", f"--config={new}/config.json", *again]) == 2


MISMATCH = (
    r"does not fit this config: \.critic\.params\['conv_0'\]\['bias'\] is "
    r"float32\[8\] in the checkpoint and float32\[16\] in the state"
)


@pytest.mark.parametrize(
    ("kind", "flags", "message"),
    [
        ("fork", ["--config.training.iterations=4"], "leaves no iteration to train"),
        ("fork", [LONGER, "--config.critic.width=16"], MISMATCH),
        ("init", ["--config.critic.width=16"], MISMATCH),
        ("fork", [LONGER, "--weights=ema"], "--weights and --fork cannot be combined"),
        ("fork", [LONGER, "--init=digits"], "--fork and --init cannot be combined"),
        ("fork", [LONGER, "--checkpoint=newest"], "--checkpoint=newest is not valid"),
        ("init", ["--weights=emma"], "--weights is 'emma'; choices: ema, live"),
    ],
)
def test_mistakes_are_one_sentence(run, tmp_path, capsys, kind, flags, message):
    error = complaint(capsys, kind, run, tmp_path / "new", *flags)
    assert re.search(message, error), error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_folders_that_cannot_be_used_are_named(run, tmp_path, capsys):
    error = complaint(capsys, "fork", run, run, LONGER)
    assert f"--fork={run} is also --workdir" in error
    error = complaint(capsys, "fork", tmp_path, tmp_path / "new", LONGER)
    assert f"--fork={tmp_path} is not the folder of a run" in error
    error = complaint(capsys, "init", "digitz", tmp_path / "new")
    assert "'digitz' is not known; did you mean digits?" in error
    error = complaint(capsys, "init", "digits", tmp_path / "new", "--checkpoint=2")
    assert "--checkpoint is not read by --init=digits" in error
    train(tmp_path / "plain")
    error = complaint(capsys, "fork", run, tmp_path / "plain")
    assert "has a run that started at iteration 0" in error
    assert main(["wgan-jax", "train", *SMALL, "--checkpoint=2"]) == 2
    assert "--checkpoint needs --fork or --init" in capsys.readouterr().err


@pytest.mark.parametrize("weights", ["ema", "live"])
def test_init_takes_weights_only(run, tmp_path, weights):
    flags = [
        f"--weights={weights}",
        "--config.seed=9",
        "--config.training.batch_size=8",
    ]
    start("init", run, tmp_path / "new", *flags)
    before, after = wgan_jax.load_run(run), wgan_jax.load_run(tmp_path / "new", 0).state
    ema = (before.state.ema_params, before.state.ema_model_state)
    live = (before.state.generator.params, before.state.generator.model_state)
    expected = ema if weights == "ema" else live
    assert_equal((after.generator.params, after.generator.model_state), expected)
    assert_equal((after.ema_params, after.ema_model_state), expected)
    assert_equal(after.critic.params, before.state.critic.params)
    assert_equal((after.step, after.critic_updates), (0, 0))
    for leaf in jax.tree.leaves((after.critic.opt_state, after.generator.opt_state)):
        assert not np.any(leaf)
    assert wgan_jax.load_run(tmp_path / "new").step == 4
    assert origin(tmp_path / "new")["weights"] == weights


def test_init_reads_files_of_weights(run, tmp_path):
    generator = wgan_jax.load_run(run).generator
    variables = {"params": generator.params, **generator.model_state}
    save_weights(tmp_path / "weights.safetensors", variables, metadata={})
    for number, source in enumerate([tmp_path, tmp_path / "weights.safetensors"]):
        new = tmp_path / f"new{number}"
        start("init", source, new)
        state = wgan_jax.load_run(new, 0).state
        assert_equal(state.generator.params, generator.params)
        assert_equal(state.ema_params, generator.params)
        assert origin(new)["renewed"] == ["optimizer", "critic"]


def test_init_reads_trained_generators(tmp_path):
    flags = ["--config.dataset.labels=True", "--config.critic.head=projection"]
    flags += ["--config.generator.width=256"]
    start("init", "digits", tmp_path / "new", *flags)
    state = wgan_jax.load_run(tmp_path / "new", 0).state
    assert_equal(state.generator.params, zoo.load("digits").params)


def test_finished_run_with_a_schedule_can_be_extended(tmp_path, capsys):
    decay = "--config.training.learning_rate_schedule=linear_decay"
    train(tmp_path, decay)
    capsys.readouterr()
    again = ["wgan-jax", "train", *SMALL, f"--workdir={tmp_path}", decay, LONGER]
    assert main(again) == 2
    (flag,) = re.findall(r"set (--config\S+=4)\. ", capsys.readouterr().err)
    assert main([*again, flag]) == 0
    assert wgan_jax.load_run(tmp_path).step == 6
