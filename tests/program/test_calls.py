"""Tests of compiled calls with several iterations."""

import json
import os
import signal
from contextlib import closing
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from test_program import metrics

from configs import gaussians_wgan_gp
from wgan_jax.config.resolve import resolve
from wgan_jax.errors import ConfigError, DiskError, Diverged
from wgan_jax.program import recorder as module
from wgan_jax.program.recorder import Recorder
from wgan_jax.program.restoring import check_start
from wgan_jax.program.train import train
from wgan_jax.program.workdir import Workdir


def config_of(per_call, iterations=12, every=12):
    config = gaussians_wgan_gp.get_config()
    config.generator.width = config.critic.width = 8
    config.training.batch_size, config.samples.count = 16, 4
    config.training.iterations_per_call = per_call
    config.training.iterations = iterations
    config.checkpoint.every = config.samples.every = every
    config.log.every, config.evaluation.every = 1, 0
    return config


def run(path, *args, **kwargs):
    said = []
    code = train(
        config_of(*args, **kwargs), Workdir(path), command="again", log=said.append
    )
    return code, "\n".join(said)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Returns the folder of a run with twelve iterations, one per call."""
    workdir = tmp_path_factory.mktemp("runs") / "unbroken"
    assert run(workdir, 1)[0] == 0
    return workdir


def assert_same_run(one, two):
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=1e-4)


def test_signal_stops_after_a_call_and_run_resumes(unbroken, tmp_path, monkeypatch):
    workdir = tmp_path / "stopped"
    taken = []

    def stopping(self, done, metrics, images):
        taken.append((done, images))
        if done == 3:  # handled while the next call runs
            os.kill(os.getpid(), signal.SIGTERM)
        iterations(self, done, metrics, images)

    iterations = Recorder.iterations
    monkeypatch.setattr(Recorder, "iterations", stopping)
    code, said = run(workdir, 3)
    assert "3 iterations, each 5 critic updates" in said
    assert code == 128 + signal.SIGTERM
    assert taken == [(3, 80), (6, 80)]
    assert "at iteration 6; checkpoint saved" in said
    assert [p.name for p in (workdir / "checkpoints").iterdir()] == ["6"]
    assert [line["step"] for line in metrics(workdir)] == [1, 2, 3, 4, 5, 6]

    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
    with pytest.raises(ConfigError, match=r"of iteration 6, which .*Use 2 to resume"):
        run(workdir, 4)
    assert before == {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}

    code, said = run(workdir, 3)
    assert code == 0
    assert "Resuming from iteration 6" in said
    assert "Done: iteration 12" in said
    assert taken[2:] == [(9, 80), (12, 80)]
    assert_same_run(metrics(workdir), metrics(unbroken))
    # A run can be resumed with a different number of iterations per call.
    code, said = run(workdir, 8, iterations=8, every=8)
    assert code == 0
    assert "Iteration 12 has already been reached" in said


def stub(log_every):
    config = config_of(4)
    config.log.every = log_every
    config = resolve(config)
    gan = SimpleNamespace(gap_name="gap", bounds_gradient=True)
    source = SimpleNamespace(
        images=np.zeros((4, 8, 8, 1), np.uint8), example_shape=(8, 8, 1)
    )
    return SimpleNamespace(config=config, gan=gan, source=source, is_replicated=False)


def values_of_a_call(**metrics):
    slopes = jnp.arange(4.0)
    return {"critic/gradient_norm_at_fakes": slopes, "gap": 10 * slopes} | metrics


def test_divergence_within_a_call_names_the_iteration(tmp_path):
    loss = jnp.array([1.0, 2.0, jnp.nan, jnp.inf])
    with (
        closing(Recorder(Workdir(tmp_path), stub(1), start=4)) as recorder,
        pytest.raises(Diverged, match=r"iteration 7: loss not finite\. Training"),
    ):
        recorder.iterations(8, values_of_a_call(loss=loss), 10)
    assert [(m["step"], m["loss"]) for m in metrics(tmp_path)] == [(5, 1.0), (6, 2.0)]


@pytest.mark.parametrize("part", ["_previews", "_heartbeat"])
def test_a_record_that_cannot_be_written_does_not_hide_the_first_error(
    tmp_path, monkeypatch, capsys, part
):
    def full(*of):
        raise OSError(28, "No space left on device", "step_00000004.png")

    def spoil(recorder):
        name = "wait" if part == "_previews" else "end"
        monkeypatch.setattr(getattr(recorder, part), name, full)

    with (
        pytest.raises(Diverged, match="iteration 6: loss not finite"),
        Recorder(Workdir(tmp_path / "one"), stub(1), start=4) as recorder,
    ):
        spoil(recorder)
        loss = jnp.array([1.0, jnp.nan, 1.0, 1.0])
        recorder.iterations(8, values_of_a_call(loss=loss), 10)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("In addition: ")
    assert "could not be written: No space left on device. " in line
    with (
        pytest.raises(DiskError, match="No space left"),
        Recorder(Workdir(tmp_path / "two"), stub(1), start=4) as recorder,
    ):
        spoil(recorder)
    assert recorder._lines._file.closed


def test_time_of_a_call_is_divided_among_its_iterations(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    shown = []
    clocks = SimpleNamespace(perf_counter=lambda: clock.now, time=lambda: clock.now)
    monkeypatch.setattr(module, "time", clocks)
    monkeypatch.setattr(
        module.Progress, "update", lambda self, step, **k: shown.append((step, k))
    )
    with closing(Recorder(Workdir(tmp_path), stub(3), start=0)) as recorder:
        for done, seconds in ((4, 8.0), (8, 4.0), (12, 8.0)):
            clock.now += seconds
            recorder.iterations(done, values_of_a_call(), 30)
            assert recorder.gap == 30.0
            clock.now += 50.0
            recorder.evaluation(done, {}, 50.0)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [(m["step"], m["gap"]) for m in found] == [
        (3, 20.0), (6, 10.0), (9, 0.0), (12, 30.0)
    ]  # fmt: skip
    rates = [m["throughput/images_per_second"] for m in found]
    assert rates == pytest.approx([90 / 6, 90 / 4, 90 / 4, 90 / 6])
    assert [(step, k["images"], k["gap"]) for step, k in shown] == [
        (4, 120, 30.0), (8, 120, 30.0), (12, 120, 30.0)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "training.iterations",
            25,
            "iterations is 25, which is not a multiple of conf",
        ),
        ("training.iterations", 3, "iterations_per_call=10. Use 10, or fewer"),
        ("checkpoint.every", 25, "config.checkpoint.every is 25, .* Use 20 or 30, or"),
        ("samples.every", 25, "config.samples.every is 25, which is not"),
        ("evaluation.every", 25, "config.evaluation.every is 25, which is not"),
        ("training.boosted_n_critic", 100, "boosted_n_critic is set"),
        ("training.replicas", 2, "config.training.replicas or config.sweep is"),
        ("sweep.field", "penalty.weight", "for a single run"),
    ],
)
def test_intervals_must_be_multiples_of_a_call(path, value, message):
    config = gaussians_wgan_gp.get_config()
    config.training.iterations_per_call = 10
    resolve(config)
    group, field = path.split(".")
    with config.unlocked():
        config[group][field] = value
        if field == "boosted_n_critic":
            config.training.boosted_first = config.training.boosted_every = 10
        config.sweep.values = (1.0, 2.0) if group == "sweep" else None
    with pytest.raises(ConfigError, match=message) as error:
        resolve(config)
    assert "\n" not in str(error.value)
    config.training.iterations_per_call = 1
    resolve(config)


def test_multiples_of_a_call_are_accepted():
    config = config_of(5, iterations=20, every=10)
    config.log.every = 3
    resolve(config)
    for start in (0, 5, 15, 20, 21):  # the last two have no iterations left
        check_start(resolve(config), start)
    with config.unlocked():
        del config.evaluation
        config.training.iterations_per_call = None
    resolve(config)
    check_start(resolve(config), 7)
