"""Tests of callbacks and of the adapters for common services."""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest

from wgan_jax.io.callbacks import Callback, Callbacks, RunInfo
from wgan_jax.io.images import save_png
from wgan_jax.io.services import CALLBACKS, PACKAGES, find_callback

CONFIG = {"seed": 0, "training": {"iterations": 3, "batch_size": 8}}
CALLS = (
    ("on_step", 1, {"critic/loss": 0.5, "critic/penalty": 2.0}),
    ("on_checkpoint", 1, Path("checkpoints/1")),
    ("on_evaluation", 1, {"kernel_distance": 0.25}),
    ("on_step", 2, {"critic/loss": 0.25, "critic/penalty": float("inf")}),
)


@pytest.fixture
def run(tmp_path):
    return RunInfo(name='a "run"', folder=tmp_path, config=CONFIG, start=0)


class Heard(Callback):
    """Keeps what it is told."""

    calls: ClassVar[list] = []

    def __init__(self, run):
        self.calls.append(("start", run.start))

    def __getattribute__(self, name):
        if name.startswith("on_") or name == "close":
            return lambda *arguments: self.calls.append((name, *arguments))
        return super().__getattribute__(name)


class Broken(Callback):
    """Raises at its second step."""

    def on_step(self, step, metrics):
        if step == 2:
            raise RuntimeError("no\nconnection")

    def close(self):
        raise AssertionError("it is not called again")


class NeverStarts(Callback):
    def __init__(self, run):
        raise OSError("refused")


def started(names, run, *, tell):
    return Callbacks({name: find_callback(name) for name in names}, run, tell=tell)


def tell_all(callbacks):
    for name, *arguments in CALLS:
        getattr(callbacks, name)(*arguments)
    callbacks.close()


def test_all_calls_arrive_in_order(run):
    Heard.calls.clear()
    tell_all(started([f"{__name__}:Heard"], run, tell=pytest.fail))
    assert Heard.calls == [("start", 0), *CALLS, ("close",)]


def test_the_base_class_accepts_all_calls(run, tmp_path):
    callback = Callback(run)
    for name, *arguments in CALLS:
        assert getattr(callback, name)(*arguments) is None
    assert callback.on_samples(1, [tmp_path / "x.png"]) is None
    assert callback.close() is None


def test_a_failing_callback_is_reported_once_and_left_out(run):
    Heard.calls.clear()
    lines = []
    names = [f"{__name__}:{kind}" for kind in ("Broken", "NeverStarts", "Heard")]
    tell_all(started(names, run, tell=lines.append))
    assert lines == [
        f"The callback {__name__}:NeverStarts failed in start (OSError: refused) and "
        "is not called again; the run goes on.",
        f"The callback {__name__}:Broken failed in on_step (RuntimeError: no "
        "connection) and is not called again; the run goes on.",
    ]
    assert Heard.calls[-1] == ("close",)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wandbb", "the callback 'wandbb' is not known"),
        ("nowhere:Class", "'nowhere:Class' cannot be imported"),
        (f"{__name__}:CONFIG", "is not a class"),
    ],
)
def test_unknown_callbacks_are_named(name, message):
    with pytest.raises(ValueError, match=message):
        find_callback(name)


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_missing_package_is_a_sentence(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=rf"pip install 'wgan-jax\[{name}\]'"):
        find_callback(name)


def test_prometheus_has_the_last_values(run, tmp_path):
    tell_all(started(["prometheus"], run, tell=pytest.fail))
    lines = (tmp_path / "metrics.prom").read_text().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    escaped = 'run="a \\"run\\""'
    assert values == {
        f"wgan_jax_iterations{{{escaped}}}": "2",
        f'wgan_jax_metric{{{escaped},metric="critic/loss"}}': "0.25",
        f'wgan_jax_metric{{{escaped},metric="critic/penalty"}}': "+Inf",
        f'wgan_jax_metric{{{escaped},metric="kernel_distance"}}': "0.25",
    }


def test_every_package_is_an_extra():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    for name, package in PACKAGES.items():
        assert f'{name} = ["{package}>=' in text
        assert name in CALLBACKS


def fake_wandb(log):
    module = ModuleType("wandb")
    module.__spec__ = ModuleSpec("wandb", None)

    class Session:
        id = "abc"

        def log(self, values, step=None):
            log.append((step, values))

        def finish(self):
            log.append("finish")

    def init(**options):
        log.append(options)
        return Session()

    module.init, module.Image = init, lambda path: ("image", path)
    return module


def test_weights_and_biases_resumes_its_run(run, tmp_path, monkeypatch):
    log = []
    monkeypatch.setitem(sys.modules, "wandb", fake_wandb(log))
    callbacks = started(["wandb"], run, tell=pytest.fail)
    pictures = [tmp_path / "step_1.png", tmp_path / "step_1_live.png"]
    callbacks.on_samples(1, pictures)
    tell_all(callbacks)
    first, samples, *rest = log
    assert first["id"] is None
    assert first["config"] == CONFIG
    assert samples[1] == {
        "samples/ema": ("image", str(pictures[0])),
        "samples/live": ("image", str(pictures[1])),
        "samples/step": 1,
    }
    assert rest == [(1, CALLS[0][2]), (1, CALLS[2][2]), (2, CALLS[3][2]), "finish"]
    started(["wandb"], run, tell=pytest.fail)
    assert log[-1]["id"] == "abc"
    assert log[-1]["resume"] == "allow"


def test_weights_and_biases_works_offline(run, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    save_png(tmp_path / "step_1.png", np.zeros((4, 4, 3), np.uint8))
    for _ in range(2):
        callbacks = started(["wandb"], run, tell=pytest.fail)
        callbacks.on_samples(1, [tmp_path / "step_1.png"])
        tell_all(callbacks)
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))


def test_mlflow_works_offline(run, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    save_png(tmp_path / "step_1.png", np.zeros((4, 4, 3), np.uint8))
    for _ in range(2):
        callbacks = started(["mlflow"], run, tell=pytest.fail)
        callbacks.on_samples(1, [tmp_path / "step_1.png"])
        tell_all(callbacks)
    identifier = (tmp_path / "mlflow.txt").read_text().strip()
    found = mlflow.get_run(identifier).data
    assert found.params["training.batch_size"] == "8"
    assert found.metrics["critic/loss"] == 0.25
    assert found.metrics["kernel_distance"] == 0.25
    assert list(tmp_path.rglob("artifacts/samples/step_1.png"))
    assert json.dumps(found.params)
