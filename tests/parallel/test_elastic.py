"""Tests that runs can be resumed on a different number of devices.

The batch size is global, so all runs take the same iterations. The state is restored
bit for bit, and later iterations agree in float64, as in ``test_devices.py``.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from xla_flags import xla_flags

pytestmark = pytest.mark.slow  # two minutes
ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("elastic_run.py")
PLACEMENTS = {"replicated": "zero1", "zero1": "replicated"}  # maps each to the other
FEWER = (
    "1",
    "2",
    "4",
    "2x1",
)  # devices of one process, or two processes with one device each


def run(folder, where, iteration, *sources):
    words = [sys.executable, SCRIPT, where, folder, str(iteration), *sources]
    commands = [words]
    if "x" in where:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        ranks = range(int(where.split("x")[0]))
        commands = [[*words, f"--rank={rank}", f"--port={port}"] for rank in ranks]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])  # elastic_run imports tiny
    environment = os.environ | {"PYTHONPATH": path, "XLA_FLAGS": xla_flags()}
    runs = [
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    try:
        for process in runs:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
            assert "rematerialization" not in said
    finally:
        for process in runs:
            process.kill()  # a process that waits for another ignores other signals


def load(folder, name):
    with np.load(folder / f"{name}.npz") as arrays:
        return dict(arrays)


def assert_same_bits(one, two):
    """Asserts that ``two`` has the state of ``one``; it may also have metrics."""
    assert one
    for name, value in one.items():
        assert value.dtype == two[name].dtype, name
        assert value.tobytes() == two[name].tobytes(), name


def assert_agree(one, two):
    assert one.keys() == two.keys()
    assert {"samples", "critic/loss", ".step"} <= one.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trains one iteration on 8 devices, and the next one on fewer devices."""
    folder = tmp_path_factory.mktemp("elastic")
    run(folder, "8", 0, "0")
    for where in FEWER:
        run(folder, where, 1, "8")
    return folder


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("where", FEWER)
def test_resume_from_eight_devices_on_fewer(folder, where, placement):
    saved = load(folder, f"1_0_to_8_{placement}")
    for name in (placement, f"{placement}_as_{PLACEMENTS[placement]}"):
        assert_same_bits(load(folder, f"1_8_to_{where}_{name}"), saved)
    one, many = (load(folder, f"2_8_to_{n}_{placement}") for n in ("1", where))
    assert_agree(one, many)


def test_resume_from_fewer_devices_on_eight(folder):
    run(folder, "8", 2, *FEWER)
    for placement, other in PLACEMENTS.items():
        of_one = load(folder, f"3_1_to_8_{placement}")
        for where in FEWER:
            saved = load(folder, f"2_8_to_{where}_{placement}")
            for name in (placement, f"{placement}_as_{other}"):
                assert_same_bits(load(folder, f"2_{where}_to_8_{name}"), saved)
            assert_agree(of_one, load(folder, f"3_{where}_to_8_{placement}"))


def launch(workdir, devices, iterations, placement):
    sizes = {
        "generator.width": 32,
        "critic.width": 32,
        "training.batch_size": 16,
        "training.n_critic": 2,
        "training.iterations": iterations,
        "training.placement": placement,
        "checkpoint.every": 2,
        "samples.count": 8,
        "log.every": 1,
        "evaluation.every": 4,
        "evaluation.count": 64,
    }
    done = subprocess.run(
        [sys.executable, "launch.py", "--config=configs/gaussians_wgan_gp.py"]
        + [f"--workdir={workdir}"]
        + [f"--config.{name}={value}" for name, value in sizes.items()],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": xla_flags(devices)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_program_resumes_on_other_devices(tmp_path):
    def lines(workdir, name):
        return map(json.loads, (tmp_path / workdir / name).read_text().splitlines())

    launch(tmp_path / "unbroken", 1, 4, "replicated")
    assert "8 device(s)" in launch(tmp_path / "moved", 8, 2, "zero1")
    said = launch(tmp_path / "moved", 2, 4, "zero1")
    assert "Resuming from iteration 2" in said
    assert "2 device(s)" in said
    unbroken, moved = (
        [(line["step"], line["critic/loss"]) for line in lines(run, "metrics.jsonl")]
        for run in ("unbroken", "moved")
    )
    assert [step for step, _ in moved] == [1, 2, 3, 4]
    np.testing.assert_allclose(moved, unbroken, rtol=1e-4)
    measured = {
        run: {
            (line["step"], line["weights"]): line["results"][0]["value"]
            for line in lines(run, "evaluations.jsonl")
        }
        for run in ("unbroken", "moved")
    }
    # The moved run stopped at iteration 2 and was evaluated there, too.
    assert measured["moved"].keys() == {(t, w) for t in (2, 4) for w in ("ema", "live")}
    for line, value in measured["unbroken"].items():
        np.testing.assert_allclose(measured["moved"][line], value, rtol=1e-3)
