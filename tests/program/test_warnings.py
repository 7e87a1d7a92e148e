"""Tests of the warnings of runs that diverge or collapse."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wgan_jax.config.loading import load_experiment
from wgan_jax.losses.objectives import SCORE_GAP, WASSERSTEIN_GAP
from wgan_jax.program.cli import main
from wgan_jax.program.watching import WARNINGS, Watch, mean_distance

ROOT = Path(__file__).parents[2]
TROUBLESHOOTING = (ROOT / "docs/troubleshooting.md").read_text()
# Extremes of gradient norm, estimate (closed form with a penalty) and ratio of the
# distances of samples in 400 iterations of the shipped configs.
GOOD = {
    "digits_wgan_gp": ((0.97, 1.17), (0.33, 3.46), 0.63),
    "digits_conditional": ((1.01, 1.20), (1.05, 4.28), 0.59),
    "gaussians_wgan_gp": ((1.78, 3.93), (0.19, 0.65), 0.71),
    "digits_wgan": ((1.01, 5.00), (0.17, 10.28), 0.81),
    "digits_gan": ((0.20, 0.65), (-0.06, 0.91), 0.58),
}


def source(config):
    random = np.random.RandomState(0)
    if config.startswith("gaussians"):
        images = random.normal(size=(100, 2)).astype(np.float32)
    else:
        images = random.randint(0, 256, (100, 8, 8, 1)).astype(np.uint8)
    return SimpleNamespace(images=images, example_shape=images.shape[1:])


def watch(config="digits_wgan_gp", **options):
    path = ROOT / f"configs/{config}.py"
    experiment, _ = load_experiment(path, [], check=lambda *_: None)
    gap = SCORE_GAP if config == "digits_gan" else WASSERSTEIN_GAP
    said = []
    data = source(config)
    options |= {"gap_name": gap, "bounded": config != "digits_gan"}
    made = Watch(experiment, data, warn=said.append, **options)
    made.gap_name, made.data = gap, data
    return made, said


def values(made, norm, gap):
    found = {"critic/gradient_norm_at_fakes": norm, made.gap_name: gap}
    if made._target:
        found |= {"critic/gradient_norm_mean": norm}
        found |= {"critic/wasserstein_by_penalty": gap}
    return found


@pytest.mark.parametrize("config", GOOD)
def test_extremes_of_good_runs_give_no_warning(config):
    made, said = watch(config)
    norms, gaps, ratio = GOOD[config]
    for step, norm in enumerate(norms * 3):
        for gap in gaps:
            made.metrics(step, values(made, norm, gap))
    real = made._examples
    made.samples(9, real.mean(axis=0) + ratio * (real - real.mean(axis=0)))
    assert said == []
    assert made.found == []


@pytest.mark.parametrize(
    ("kind", "config", "rows"),
    [
        ("gradient_norm", "digits_wgan_gp", [(1.0, 1.0), (10.8, 1.0)]),
        ("gradient_growth", "digits_gan", [(3.3, 4.4), (20.5, 12.9)]),
        ("distance", "digits_wgan_gp", [(1.0, 1.0), (1.4, -30.5)]),
        ("gap", "digits_gan", [(0.2, 1.0), (1.0, 200.0)]),
        ("constant_critic", "digits_wgan", [(1e-7, 1e-9)] * 4),
        ("collapsed", "digits_wgan_gp", []),
    ],
)
def test_bad_runs_give_their_warning_once(kind, config, rows):
    made, said = watch(config)
    for step, row in enumerate(rows * 2, 1):
        made.metrics(step, values(made, *row))
    if kind == "collapsed":
        for step in (1, 2):
            made.samples(step, np.zeros((9, 8, 8, 1), np.float32))
    assert made.found == [kind]
    (line,) = said
    assert re.match(r"Iteration \d+: ", line)
    assert f"usually helps (troubleshooting: {WARNINGS[kind].entry})." in line
    resumed, again = watch(config, found=[kind])
    for step, row in enumerate(rows, 1):
        resumed.metrics(step, values(resumed, *row))
    assert again == []


def test_the_gradient_of_a_clipped_critic_may_grow():
    made, said = watch("digits_wgan")
    for norm in (1.0, 40.0):
        made.metrics(1, values(made, norm, 1.0))
    assert said == []


def test_a_critic_is_constant_only_after_several_rows():
    made, said = watch("digits_wgan")
    for row in [(1e-7, 0.0), (1e-7, 0.0), (0.5, 0.0), (1e-7, 0.0), (1e-7, 0.0)]:
        made.metrics(1, values(made, *row))
    assert said == []


@pytest.mark.parametrize("about", WARNINGS.values(), ids=WARNINGS)
def test_warnings_lead_to_an_entry_that_quotes_them(about):
    parts = re.split(r"^### ", TROUBLESHOOTING, flags=re.MULTILINE)
    (entry,) = [part for part in parts if part.splitlines()[0] == about.entry]
    fixed = max(re.split(r"\{.*?\}", about.says), key=len).split(",")[0].strip()
    text = " ".join(entry.split())
    assert fixed in text or "Also the warning of that name" in text


def test_the_mean_distance_is_that_of_all_pairs():
    points = np.random.RandomState(1).normal(size=(6, 2, 3)) + 100
    pairs = [
        np.linalg.norm(points[i] - points[j])
        for i in range(6)
        for j in range(6)
        if i != j
    ]
    assert mean_distance(points) == pytest.approx(np.mean(pairs), rel=1e-9)
    assert mean_distance(np.ones((4, 3))) == 0


DEAD = """
import jax.numpy as jnp
from flax import linen as nn

class Zero(nn.Module):
    image_shape: tuple = (8, 8, 1)

    @nn.compact
    def __call__(self, z, *, train=False):
        x = nn.Dense(64)(z) * 0.0
        return jnp.tanh(x).reshape(len(z), *self.image_shape)

class Constant(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(1)(x.reshape(len(x), -1) * 0.0)[:, 0]
"""


def test_dead_networks_are_warned_of_and_recorded(tmp_path, capsys, monkeypatch):
    (tmp_path / "dead_networks.py").write_text(DEAD)
    monkeypatch.chdir(tmp_path)
    flags = [
        "--config=digits_wgan_gp",
        "--workdir=run",
        "--quiet",
        "--config.generator.name=dead_networks:Zero",
        "--config.critic.name=dead_networks:Constant",
        "--config.training.batch_size=8",
        "--config.log.every=1",
        "--config.samples.every=2",
        "--config.samples.count=8",
        "--config.evaluation=None",
    ]
    for last in (4, 8):
        count = f"--config.training.iterations={last}"
        assert main(["wgan-jax", "train", *flags, count]) == 0
        heartbeat = json.loads((tmp_path / "run/heartbeat.json").read_text())
        assert heartbeat["warnings"] == ["collapsed", "constant_critic"]
        said = [x for x in capsys.readouterr().err.splitlines() if "Iteration" in x]
        kinds = ("collapsed", "constant_critic") if last == 4 else ()
        assert len(said) == len(kinds)
        for line, kind in zip(said, kinds, strict=True):
            assert WARNINGS[kind].entry in line
