"""A small run of the real program, which can be broken at random moments.

The run trains, saves, evaluates, draws and reports within seconds. All randomness is
that of ``numpy.random.RandomState(seed)``, so a failure can be repeated.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.config.build import build_gan
from wgan_jax.config.loading import load_experiment
from wgan_jax.training.init import abstract_state

ROOT = Path(__file__).parents[2]
LAST = 24  # iterations
KEEP = 3
OVERRIDES = {
    "generator.width": "8",
    "critic.width": "8",
    "training.iterations": str(LAST),
    "training.iterations_per_call": "2",
    "training.batch_size": "16",
    "training.n_critic": "2",
    "log.every": "2",
    "checkpoint.every": "4",
    "checkpoint.keep": str(KEEP),
    "samples.every": "8",
    "samples.count": "16",
    "evaluation.every": "12",
    "evaluation.count": "100",
    "evaluation.measures": "('frechet','held_out')",
}
# Beginnings of the names of values of the clock.
CHANGING = ("throughput", "time", "seconds")
PATIENCE = 300  # seconds that any run may take


@dataclass
class Run:
    """A run of the program in a folder.

    Attributes:
        workdir: its folder.
        flags: further flags.
        errors: what the processes wrote to stderr, one text for each start.
    """

    workdir: Path
    flags: tuple[str, ...] = ()
    errors: list[str] = field(default_factory=list)

    def command(self) -> list[str]:
        """Returns the command line."""
        fields = [f"--config.{name}={value}" for name, value in OVERRIDES.items()]
        program = [sys.executable, "launch.py", "--config=configs/digits_wgan_gp.py"]
        return [*program, f"--workdir={self.workdir}", *fields, *self.flags]

    def start(self) -> subprocess.Popen[str]:
        """Starts the program."""
        return subprocess.Popen(
            self.command(),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
        )

    def finish(self) -> int:
        """Runs the program to its end, and returns the exit code."""
        with self.start() as process:
            self.errors.append(process.communicate(timeout=PATIENCE)[1])
        return process.returncode

    def kill_after(self, seconds: float) -> bool:
        """Kills the program after some seconds; returns whether it was running."""
        with self.start() as process:
            try:
                self.errors.append(process.communicate(timeout=seconds)[1])
            except subprocess.TimeoutExpired:
                process.kill()
                self.errors.append(process.communicate()[1])
                return True
        return False

    def newest(self) -> int:
        """Returns the newest checkpoint; 0 without."""
        folder = self.workdir / "checkpoints"
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def state(self) -> dict[str, np.ndarray]:
        """Returns the arrays of the last checkpoint by path."""
        target = abstract_state(build_gan(experiment()))
        folder = self.workdir / "checkpoints"
        with Checkpoints(folder, keep=KEEP, read_only=True) as checkpoints:
            state, _, step = checkpoints.restore(target)
        assert step == LAST
        return arrays_of(state)

    def metrics(self) -> list[dict[str, Any]]:
        """Returns the lines of the metrics without values of the clock."""
        return _lines(self.workdir / "metrics.jsonl")

    def evaluations(self) -> list[dict[str, Any]]:
        """Returns the lines of the evaluations without values of the clock."""
        return _lines(self.workdir / "evaluations.jsonl")


def experiment():
    """Returns the config of the runs."""
    path = ROOT / "configs/digits_wgan_gp.py"
    return load_experiment(path, list(OVERRIDES.items()), check=lambda *_: None)[0]


def arrays_of(state: Any) -> dict[str, np.ndarray]:
    """Returns the arrays of a tree by path."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def assert_same_run(run: Run, unbroken: Run) -> None:
    """Asserts that a run has the results of an unbroken one, bit by bit."""
    assert run.metrics() == unbroken.metrics()
    assert run.evaluations() == unbroken.evaluations()
    found, expected = run.state(), unbroken.state()
    assert found.keys() == expected.keys()
    for path, values in expected.items():
        np.testing.assert_array_equal(found[path], values, err_msg=path)
    pictures = [path.name for path in sorted((unbroken.workdir / "samples").iterdir())]
    assert [p.name for p in sorted((run.workdir / "samples").iterdir())] == pictures
    for name in pictures:
        one, two = (r.workdir / "samples" / name for r in (run, unbroken))
        assert one.read_bytes() == two.read_bytes(), name
    assert (run.workdir / "report.html").stat().st_size > 10_000


def seconds_of(run: Run) -> float:
    """Runs the program to its end, and returns the wall seconds that it took."""
    began = time.monotonic()
    assert run.finish() == 0, run.errors[-1]
    return time.monotonic() - began


def _lines(path: Path) -> list[dict[str, Any]]:
    return [_steady(json.loads(line)) for line in path.read_text().splitlines()]


def _steady(value: Any) -> Any:
    """Returns a JSON value without the fields of the clock."""
    if isinstance(value, list):
        return [_steady(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _steady(item)
        for name, item in value.items()
        if not name.startswith(CHANGING)
    }
