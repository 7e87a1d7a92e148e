"""Tests of the program with conditional GANs, regularizers and replicas."""

import json

import numpy as np
import pytest
from PIL import Image
from test_program import SMALL, iterations, launch, metrics


def run(workdir, *flags, config):
    done = launch(workdir, *flags, config=f"configs/{config}.py")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("config", "flags"),
    [
        pytest.param(
            "digits_path_length",
            ["--config.objective=relativistic"],
            marks=pytest.mark.slow,
        ),
        (
            "digits_conditional",
            ["--config.training.microbatches=2", "--config.penalty.every=3"],
        ),
    ],
)
def test_resumed_run_equals_the_uninterrupted_run(tmp_path, config, flags):
    """Checkpoints include the state of regularizers and lazy terms."""
    flags = [*SMALL, *flags, "--config.optimizer.critic.learning_rate=1e-3"]
    one, two = tmp_path / "one", tmp_path / "two"
    run(one, *flags, *iterations(11), config=config)
    run(two, *flags, *iterations(6), config=config)
    run(two, *flags, *iterations(11), config=config)
    assert len(metrics(one)) == 11
    assert metrics(one) == metrics(two)
    pictures = [w / "samples" / "step_00000011.png" for w in (one, two)]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_sample_mode_uses_the_label(tmp_path):
    flags = [*SMALL, *iterations(2)]
    run(tmp_path, *flags, config="digits_conditional")

    def images(name, *more):
        run(tmp_path, *flags, "--mode=sample", *more, config="digits_conditional")
        with np.load(
            tmp_path / "samples" / f"sample_00000002_ema_{name}.npz"
        ) as arrays:
            return arrays["images"], arrays["labels"].tolist()

    in_turn, labels = images("seed0_4")
    assert labels == [0, 1, 2, 3]
    names = "sample_00000002_ema_seed0_4", "step_00000002", "step_00000002_live"
    drawn, averaged, live = (
        (tmp_path / "samples" / f"{name}.png").read_bytes() for name in names
    )
    assert drawn == averaged != live
    threes, labels = images("seed0_4_label3", "--config.samples.label=3")
    assert labels == [3, 3, 3, 3]
    np.testing.assert_array_equal(threes[3], in_turn[3])
    assert np.any(threes[0] != in_turn[0])
    more = [*flags, "--mode=sample", "--config.samples.label=10"]
    refused = launch(tmp_path, *more, config="configs/digits_conditional.py")
    assert refused.returncode == 2
    assert "label is 10; it must be in 0 to 9" in refused.stderr


def picture(workdir):
    with Image.open(workdir / "samples" / "step_00000005.png") as image:
        return np.asarray(image)


GAUSSIANS = [
    "--config.generator.width=8",
    "--config.critic.width=8",
    "--config.training.batch_size=16",
    "--config.samples.count=4",
    "--config.log.every=1",
    "--config.evaluation.every=0",
    *iterations(5),
]


def test_replicas_equal_runs_with_their_seeds(tmp_path):
    name = "critic/wasserstein_estimate"
    text = run(
        tmp_path / "all",
        *GAUSSIANS,
        "--config.training.replicas=2",
        config="gaussians_wgan_gp",
    )
    assert "2 replicas, 5 critic updates" in text
    together = metrics(tmp_path / "all")
    alone = []
    for seed in (0, 1):
        workdir = tmp_path / str(seed)
        flags = [*GAUSSIANS, f"--config.seed={seed}"]
        run(workdir, *flags, config="gaussians_wgan_gp")
        alone.append([line[name] for line in metrics(workdir)])
    mean, spread = np.mean(alone, axis=0), np.std(alone, axis=0, ddof=1)
    found = [[line[name], line[f"{name}_std"]] for line in together]
    np.testing.assert_allclose(found, np.stack([mean, spread], 1), rtol=1e-3)
    height, width, channels = picture(tmp_path / "0").shape
    assert picture(tmp_path / "all").shape == (height, 2 * width, channels)
    run(
        tmp_path / "all",
        *GAUSSIANS,
        "--config.training.replicas=2",
        "--mode=sample",
        config="gaussians_wgan_gp",
    )
    path = tmp_path / "all" / "samples" / "sample_00000005_ema_seed0_4.npz"
    with np.load(path) as arrays:
        first, second = arrays["images"]
    assert first.shape == (4, 2)
    assert np.all(first != second)
    left, right = np.split(picture(tmp_path / "all"), 2, axis=1)
    assert np.any(left != right)


@pytest.mark.slow  # 25 seconds
def test_sweep_logs_each_setting_and_resumes(tmp_path):
    sweep = [
        "--config.sweep.field=penalty.weight",
        "--config.sweep.values=(0.1, 10.0)",
        "--config.training.replicas=2",
    ]
    runs = []
    for workdir, ends in [(tmp_path / "one", [5]), (tmp_path / "two", [3, 5])]:
        for end in ends:
            flags = [*GAUSSIANS, *sweep, *iterations(end)]
            run(workdir, *flags, config="gaussians_wgan_gp")
        runs.append(metrics(workdir))
    assert runs[0] == runs[1]
    last = runs[0][-1]
    for weight in ("0.1", "10"):
        assert f"critic/penalty/penalty.weight={weight}" in last
        assert f"critic/penalty/penalty.weight={weight}_std" in last
    low, high = (last[f"critic/penalty/penalty.weight={w}"] for w in ("0.1", "10"))
    assert high > low
    assert last["critic/penalty"] == pytest.approx((low + high) / 2, rel=1e-5)
    record = json.loads((tmp_path / "one" / "config.json").read_text())
    assert record["config"]["sweep"]["values"] == [0.1, 10.0]


def test_diverged_replica_is_named(tmp_path):
    flags = [
        *GAUSSIANS,
        "--config.sweep.field=optimizer.critic.learning_rate",
        "--config.sweep.values=(1e-4, 1e30)",
        "--config.training.replicas=2",
    ]
    done = launch(tmp_path, *flags, config="configs/gaussians_wgan_gp.py")
    assert done.returncode == 1
    named = "in replica 'optimizer.critic.learning_rate=1e+30 seed=0'"
    assert f"not finite {named}" in done.stderr
