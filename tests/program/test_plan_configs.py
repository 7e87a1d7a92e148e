"""Tests of ``--mode=plan`` for every config; compilation needs the compilers."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from compilers import require_compiler

from wgan_jax.config.build import build_schedule
from wgan_jax.parallel.sharding import make_mesh
from wgan_jax.program.plan import prepare

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(file.stem for file in (ROOT / "configs").glob("*.py"))


@pytest.fixture(autouse=True)
def no_prepared_data(monkeypatch, tmp_path):
    """Removes prepared data, because a plan needs only the shapes of the examples."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))


@pytest.mark.parametrize("name", CONFIGS)
def test_operations_of_every_config_are_counted(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    experiment = prepare(config, make_mesh(jax.devices()[:1]))
    schedule = build_schedule(config)
    for updates in schedule.distinct_updates(0, config.training.iterations):
        batches = updates + int(experiment.gan.objective.paired)
        assert experiment.operations(batches) > 0


@pytest.mark.slow
@pytest.mark.timeout(1600)
@pytest.mark.parametrize(
    ("name", "topology"),
    [*((name, "h100:1") for name in CONFIGS), ("cifar10_r3gan_small", "v5e:1x1")],
)
def test_every_config_is_planned(name, topology, tmp_path):
    require_compiler(topology)
    file = tmp_path / "plan.json"
    run = subprocess.run(
        [
            sys.executable,
            "launch.py",
            f"--config=configs/{name}.py",
            "--mode=plan",
            f"--topology={topology}",
            f"--output={file}",
        ],
        cwd=ROOT,
        env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    iterations = json.loads(file.read_text())["iterations"]
    assert run.stdout.count("images/s over all devices") == len(iterations) > 0
    for one in iterations:
        bound = one["bound"]
        assert min(bound["operations"], bound["memory"]) > 0
        assert (bound["launches"] > 0) == topology.startswith("h100")
        assert one["state_donated"] == pytest.approx(one["state_bytes"], rel=0.02)
        if "r3gan" in name:  # its grouped layers need no redundant operations
            ratio = one["operations"] / one["operations_traced"]
            assert ratio == pytest.approx(1, abs=0.01)
