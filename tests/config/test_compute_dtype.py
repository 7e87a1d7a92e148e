"""Tests of ``compute_dtype="auto"``."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from configs import digits_wgan_gp
from wgan_jax.config import precision
from wgan_jax.config.build import build_gan
from wgan_jax.config.experiment import with_value
from wgan_jax.config.precision import with_dtype
from wgan_jax.config.resolve import resolve
from wgan_jax.errors import WorkdirError
from wgan_jax.program.workdir import Workdir


def experiment(dtype):
    return with_value(
        resolve(digits_wgan_gp.get_config()), "training.compute_dtype", dtype
    )


def native(monkeypatch, found, devices=1):
    support = SimpleNamespace(is_used=lambda dtype: found and dtype == "bfloat16")
    monkeypatch.setattr(precision, "onednn_support", support)
    monkeypatch.setattr(jax, "device_count", lambda: devices)


@pytest.mark.parametrize(
    ("platform", "found", "devices", "expected"),
    [
        ("cpu", True, 1, "bfloat16"),
        ("cpu", False, 1, "float32"),
        ("cpu", True, 8, "float32"),
        ("gpu", False, 1, "bfloat16"),
        ("tpu", False, 8, "bfloat16"),
        (None, True, 1, "bfloat16"),  # the devices of the tests are CPUs
        (None, False, 1, "float32"),
    ],
)
def test_auto_follows_the_device(platform, found, devices, expected, monkeypatch):
    native(monkeypatch, found, devices)
    chosen = with_dtype(experiment("auto"), platform)
    assert chosen.training.compute_dtype == expected


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_given_dtypes_are_kept(dtype, monkeypatch):
    native(monkeypatch, dtype == "float32")
    assert with_dtype(experiment(dtype)).training.compute_dtype == dtype


def test_networks_compute_in_the_chosen_dtype(monkeypatch):
    for found, dtype in ((True, jnp.bfloat16), (False, None)):
        native(monkeypatch, found)
        gan = build_gan(experiment("auto"), (8, 8, 1))
        assert gan.generator.dtype is gan.critic.dtype is dtype


def test_run_keeps_the_dtype_that_it_started_with(tmp_path, monkeypatch):
    native(monkeypatch, True)
    workdir = Workdir(tmp_path / "run")
    started = workdir.settled(experiment("auto"))
    assert started.training.compute_dtype == "bfloat16"
    workdir.claim(started, data={"sha256": ""}, command="")
    record = json.loads(workdir.config.read_text())
    assert record["config"]["training"]["compute_dtype"] == "bfloat16"
    native(monkeypatch, False)  # now on another machine
    resumed = workdir.settled(experiment("auto"))
    assert resumed == started
    workdir.check(resumed)
    with pytest.raises(WorkdirError, match="compute_dtype: bfloat16 -> float32"):
        workdir.check(workdir.settled(experiment("float32")))
