"""Tests of ``train --debug-nans``: the operation that makes a run diverge."""

import inspect
import json
import re
from pathlib import Path

import jax.numpy as jnp
import pytest

from wgan_jax.config.loading import load_experiment
from wgan_jax.losses import OBJECTIVES, PENALTIES, Objective, wasserstein_generator_loss
from wgan_jax.losses.objectives import WASSERSTEIN_GAP
from wgan_jax.program.cli import main
from wgan_jax.program.terms import first_bad_term

SMALL = (
    "--config=digits_wgan_gp",
    "--config.training.iterations=12",
    "--config.training.batch_size=8",
    "--config.training.n_critic=2",
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.log.every=1",
    "--config.checkpoint.every=2",
    "--config.samples.every=12",
    "--config.samples.count=4",
    "--config.evaluation=None",
)


def vanishing_loss(real_scores, fake_scores):
    """A critic loss that takes the logarithm of 0 once real scores exceed 0.3."""
    left = jnp.maximum(0.3 - jnp.mean(real_scores), 0.0)
    return jnp.mean(fake_scores) - jnp.mean(real_scores) - 1e-6 * jnp.log(left)


def overflowing_penalty(critic_fn, real, fake, key):
    """A penalty that exceeds the numbers of float32 once scores are large."""
    gap = jnp.mean(critic_fn(real)) - jnp.mean(critic_fn(fake))
    return 1e-30 * jnp.exp(400.0 * gap)


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def contents(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def diverged(workdir, capsys, *flags):
    """Returns the iteration and the message of a run that stops."""
    assert main(["wgan-jax", "train", *SMALL, f"--workdir={workdir}", *flags]) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    match = re.match(r"wgan-jax: iteration (\d+): ", message)
    return int(match[1]), message


def debugged(workdir, capsys):
    """Returns the lines of the repetition, which must leave the folder unchanged."""
    before = contents(workdir)
    assert main(["wgan-jax", "train", f"--workdir={workdir}", "--debug-nans"]) == 1
    assert contents(workdir) == before
    return capsys.readouterr().out.splitlines()[-2:]


def test_a_logarithm_of_zero_is_found(tmp_path, capsys, monkeypatch):
    objective = Objective(
        vanishing_loss, wasserstein_generator_loss, gap_name=WASSERSTEIN_GAP
    )
    monkeypatch.setitem(OBJECTIVES, "vanishing", objective)
    flags = (
        "--config.objective.name=vanishing",
        "--config.optimizer.critic.learning_rate=0.01",
    )
    iteration, message = diverged(tmp_path / "run", capsys, *flags)
    assert iteration > 2
    assert f"--workdir={tmp_path / 'run'} --debug-nans" in message
    saved = [int(p.name) for p in (tmp_path / "run/checkpoints").iterdir()]
    assert max(saved) == 2 * ((iteration - 1) // 2)
    first, second = debugged(tmp_path / "run", capsys)
    assert re.match(rf"Iteration {iteration}, critic update [12] of 2: ", first)
    assert "the objective vanishing of the critic (critic/loss) is the first" in first
    assert (
        second
        == (
            f"The first -inf is the result of the operation log at {__file__}:"
            f"{line_of(vanishing_loss, 'jnp.log')} (vanishing_loss)."
        )
        or "inf" in second
    )


def test_a_penalty_that_overflows_is_found(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PENALTIES, "overflowing", overflowing_penalty)
    flags = (
        "--config.penalty=None",
        "--config.penalties.mine.name=overflowing",
        "--config.penalties.mine.weight=1.0",
        "--config.optimizer.critic.learning_rate=0.01",
        "--config.training.iterations_per_call=2",
    )
    iteration, _ = diverged(tmp_path / "run", capsys, *flags)
    first, second = debugged(tmp_path / "run", capsys)
    assert first.startswith(f"Iteration {iteration}, critic update ")
    assert "the penalty overflowing of mine (critic/penalty/mine) is the first" in first
    line = line_of(overflowing_penalty, "jnp.exp")
    assert f"operation exp at {__file__}:{line} (overflowing_penalty)" in second


def test_a_finite_run_is_said_to_be_finite(tmp_path, capsys):
    flags = (*SMALL, f"--workdir={tmp_path / 'run'}")
    assert main(["wgan-jax", "train", *flags, "--config.training.iterations=2"]) == 0
    before = contents(tmp_path / "run")
    longer = "--config.training.iterations=4"
    assert main(["wgan-jax", "train", *flags, longer, "--debug-nans"]) == 0
    assert "Nothing in iterations 3 to 4 is infinite or NaN." in capsys.readouterr().err
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--workdir=none",), "is not the folder of a run"),
        (("--config=digits_gan",), "is not the folder of a run"),
        (("--config=digits_gan", "--profile=2"), "--profile and --debug-nans cannot"),
        (("--config=digits_gan", "--init=digits"), "--init and --debug-nans cannot"),
    ],
)
def test_mistakes_are_a_sentence(tmp_path, capsys, monkeypatch, flags, says):
    monkeypatch.chdir(tmp_path)
    assert main(["wgan-jax", "train", "--debug-nans", *flags]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "term"),
    [
        ({}, ""),
        ({"critic/penalty": NAN}, "the penalty gradient_penalty (critic/penalty)"),
        ({"critic/grad_norm": NAN}, "the gradient of the critic (critic/grad_norm)"),
        (
            {"generator/loss": NAN, "critic/loss": NAN},
            "the objective wasserstein of the critic (critic/loss)",
        ),
        ({"critic/real_score": NAN, "critic/loss": NAN}, "the scores of real examples"),
        ({"generator/path_length": NAN}, "the metric (generator/path_length)"),
    ],
)
def test_terms_are_in_the_order_of_computation(values, term):
    config = load_experiment(
        Path(__file__).parents[2] / "configs/digits_wgan_gp.py",
        [],
        check=lambda *_: None,
    )[0]
    finite = dict.fromkeys(["critic/penalty", "critic/loss", "generator/loss"], 0.0)
    found = first_bad_term(finite | values, config)
    assert found == term or (term and found.startswith(term))


def test_the_failed_iteration_is_that_of_the_heartbeat(tmp_path, capsys):
    rate = "--config.optimizer.critic.learning_rate=1e30"
    iteration, _ = diverged(tmp_path / "run", capsys, rate)
    heartbeat = json.loads((tmp_path / "run/heartbeat.json").read_text())
    assert heartbeat["stage"] == "failed"
    assert heartbeat["iterations"] == iteration - 1
    first, _ = debugged(tmp_path / "run", capsys)
    assert first.startswith(f"Iteration {iteration}, ")
