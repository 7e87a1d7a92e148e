"""Tests of multi-process runs: equality with one process, signals and crashes.

All waits have a timeout, after which processes are killed with SIGKILL, because
initialized processes do not exit on SIGTERM.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import chex
import jax
import numpy as np
import pytest
from test_program import ROOT, SMALL, command, iterations, launch, metrics, state_of
from xla_flags import xla_flags

from wgan_jax.errors import ConfigError
from wgan_jax.parallel import multiprocess

SECONDS = 240  # timeout of each run; survivors of a crash exit within two minutes
FIRST = 3  # iterations in which rounding errors are still small


def free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def is_free(port):
    with socket.socket() as listener:
        try:
            listener.bind(("localhost", port))
        except OSError:
            return False
    return True


def explicit(processes):
    address = f"localhost:{free_port()}"
    return [
        (f"--distributed={address},{processes},{index}", {})
        for index in range(processes)
    ]


def as_slurm_starts_them(processes):
    """Returns variables as set by srun. JAX derives the port from the job ID."""
    job = free_port() % 4096
    while not is_free(2**16 - 4096 + job):
        job = (job + 1) % 4096
    return [
        (
            "--distributed=auto",
            {
                "SLURM_JOB_ID": str(job),
                "SLURM_STEP_NODELIST": "localhost",
                "SLURM_NTASKS": str(processes),
                "SLURM_PROCID": str(index),
                "SLURM_LOCALID": str(index),
            },
        )
        for index in range(processes)
    ]


@contextlib.contextmanager
def launched(commands):
    """Starts processes, a command with its environment variables each.

    They are killed at the end of the block.
    """
    running = []
    try:
        for words, variables in commands:
            running.append(
                subprocess.Popen(
                    words,
                    cwd=ROOT,
                    env=os.environ | variables,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        yield running
    finally:
        for process in running:
            process.kill()
            with process:  # waits and closes the streams
                pass


def started(workdir, *flags, processes=2, how=explicit):
    """Starts the processes of a run, with one device each."""
    one = {"XLA_FLAGS": xla_flags()}
    return launched(
        (command(workdir, joined, *SMALL, *flags), one | variables)
        for joined, variables in how(processes)
    )


def ended(running):
    """Returns the exit codes and the output of the processes."""
    texts = [process.communicate(timeout=SECONDS) for process in running]
    return [process.returncode for process in running], texts


def run(workdir, *flags, processes=2, how=explicit):
    with started(workdir, *flags, processes=processes, how=how) as running:
        codes, texts = ended(running)
    assert codes == [0] * processes, texts
    return texts


def wait_until_trained(workdir, running, step):
    end = time.monotonic() + SECONDS
    path = workdir / "metrics.jsonl"
    while not path.exists() or path.read_text().count("\n") <= step:
        assert all(process.poll() is None for process in running)
        assert time.monotonic() < end
        time.sleep(0.02)


def checkpoints(workdir):
    return sorted(int(p.name) for p in (workdir / "checkpoints").iterdir())


def assert_same_run(workdir, other):
    """Asserts that all metrics and the final state are equal."""
    assert metrics(workdir) == metrics(other)
    step = metrics(workdir)[-1]["step"]
    chex.assert_trees_all_equal(state_of(workdir, step), state_of(other, step))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Returns a run with two processes, stopped by SIGTERM to the second one."""
    workdir = tmp_path_factory.mktemp("stopped") / "run"
    with started(workdir, *iterations(100_000)) as running:
        wait_until_trained(workdir, running, 5)
        running[1].send_signal(signal.SIGTERM)
        codes, texts = ended(running)
    assert codes == [143, 143], texts
    return workdir, metrics(workdir)[-1]["step"], texts


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, stopped):
    """Returns a longer run without interruption, initialized as by SLURM."""
    workdir = tmp_path_factory.mktemp("unbroken") / "run"
    last = stopped[1] + 5
    run(workdir, *iterations(last, every=last), how=as_slurm_starts_them)
    return workdir, last


def test_sigterm_to_one_process_stops_all(stopped):
    workdir, step, texts = stopped
    assert checkpoints(workdir) == [step]
    assert f"Stopped by SIGTERM at iteration {step}; checkpoint saved" in texts[0][0]
    assert "The same command resumes from there" in texts[0][0]
    assert "Stopped" not in texts[1][0], "only process 0 prints"


def test_run_resumes_exactly_after_sigterm(stopped, unbroken):
    workdir, step, _ = stopped
    whole, last = unbroken
    texts = run(workdir, *iterations(last, every=last))
    assert f"Resuming from iteration {step}" in texts[0][0]
    assert_same_run(workdir, whole)


def test_processes_finish_a_run_that_was_stopped_at_its_end(stopped, tmp_path):
    workdir, step = tmp_path / "run", stopped[1]
    shutil.copytree(stopped[0], workdir)
    for name in ("heartbeat.json", "report.html"):
        assert "nterrupted" in (workdir / name).read_text()
    texts = run(workdir, *iterations(step))
    assert f"Iteration {step} has already been reached" in texts[0][0]
    assert json.loads((workdir / "heartbeat.json").read_text())["stage"] == "done"
    assert "Finished" in (workdir / "report.html").read_text()
    assert (workdir / "samples" / f"interpolation_{step:08d}.png").exists()


def test_two_processes_equal_one(stopped, tmp_path):
    done = subprocess.run(
        command(tmp_path / "one", *SMALL, *iterations(FIRST)),
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert_alike(metrics(tmp_path / "one"), metrics(stopped[0]))


def assert_alike(one, several):
    """Compares up to rounding, which Adam amplifies where a gradient is zero."""
    assert min(len(one), len(several)) >= FIRST
    for mine, yours in zip(one[:FIRST], several, strict=False):
        assert mine.keys() == yours.keys()
        for name, value in mine.items():
            if not name.endswith("update_norm"):
                np.testing.assert_allclose(yours[name], value, rtol=1e-5, err_msg=name)


@pytest.mark.slow  # half a minute per case
@pytest.mark.parametrize("victim", [1, 0])
def test_killed_process_ends_the_run_which_can_be_resumed(victim, unbroken, tmp_path):
    whole, last = unbroken
    workdir = tmp_path / "run"
    with started(workdir, *iterations(100_000, every=5)) as running:
        wait_until_trained(workdir, running, 8)
        running[victim].kill()
        died = time.monotonic()
        _, err = running[1 - victim].communicate(timeout=SECONDS)
        assert time.monotonic() - died < 120
    assert running[1 - victim].returncode not in (0, None)
    assert "another process has failed" in err or "another task died" in err, err
    saved = max(checkpoints(workdir))
    assert saved >= 5
    last = max(last, saved)
    texts = run(workdir, *iterations(last, every=last))
    assert "Starting a new run" not in texts[0][0]
    ours, theirs = metrics(workdir), metrics(whole)
    count = min(len(ours), len(theirs))
    assert count > 5
    assert ours[:count] == theirs[:count]


@pytest.mark.slow
def test_four_processes_equal_one(stopped, tmp_path):
    run(tmp_path / "four", *iterations(FIRST), processes=4)
    assert_alike(metrics(tmp_path / "four"), metrics(stopped[0]))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("nonsense", "is not valid"),
        ("localhost,2,0", "is not valid"),
        ("localhost:9000,2", "is not valid"),
        ("localhost:9000,2,x", "is not valid"),
        ("localhost:99000,2,0", "the port is 99000"),
        ("localhost:9000,2,2", "the index is 2, but there are 2"),
    ],
)
def test_invalid_distributed_settings_are_rejected(how, words):
    with pytest.raises(ConfigError, match=words):
        multiprocess.initialize(how)
    assert not multiprocess.is_shared()


def test_missing_cluster_is_reported(tmp_path, monkeypatch):
    clusters = ("SLURM_", "OMPI_", "KUBERNETES_", "JAX_COORDINATOR", "TPU_")
    for name in [n for n in os.environ if n.startswith(clusters)]:
        monkeypatch.delenv(name)
    done = launch(tmp_path / "run", "--distributed=auto", *SMALL)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--distributed=auto found no cluster that started this" in done.stderr
    assert not (tmp_path / "run").exists()


def test_port_in_use_is_rejected_immediately():
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on port {port}"):
            multiprocess.initialize(f"localhost:{port},2,0")


def test_single_process_needs_no_communication():
    multiprocess.initialize("off")
    assert not multiprocess.is_shared()
    assert multiprocess.is_primary()
    assert multiprocess.process_label() == ""
    assert multiprocess.broadcast_from_primary(0.1) == 0.1
    assert multiprocess.shutdown(2) == 2


GLOO = "UNKNOWN: Gloo AllGather failed: [external/gloo/pair.cc:547] Connection closed"


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (jax.errors.JaxRuntimeError(GLOO), True),
        (ValueError(GLOO), True),  # from reading an array
        (ValueError("the shape is (2,)"), False),
        (OSError("UNKNOWN: disk"), False),
    ],
)
def test_errors_of_lost_processes_are_told_from_others(error, lost, monkeypatch):
    later = RuntimeError("while saving")
    later.__cause__ = error
    assert not multiprocess.is_peer_failure(error)  # there is no other process
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert multiprocess.is_peer_failure(error) == lost
    assert multiprocess.is_peer_failure(later) == lost
