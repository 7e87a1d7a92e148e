"""Tests of writes that fail because of the disk: the run stops or continues."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.checkpointing.backend import CheckpointBackend
from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.errors import CheckpointError, DiskError
from wgan_jax.io import loggers
from wgan_jax.io.disks import check_writable, disk_failure, disk_remedy
from wgan_jax.io.loggers import JsonLines, TensorBoard
from wgan_jax.program.disk import FAILED, DiskWrites

ROOT = Path(__file__).parents[2]
KINDS = ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "ENOENT")


def failing(code):
    def write():
        raise OSError(code, os.strerror(code))

    return write


@pytest.fixture(autouse=True)
def forgotten():
    yield
    FAILED.clear()


@pytest.mark.parametrize("name", KINDS)
def test_a_failed_write_stops_the_run_with_a_sentence(name):
    code = getattr(errno, name)
    writes = DiskWrites(tolerant=False, warn=pytest.fail)
    assert writes.attempt("x", lambda: 3) == 3
    with pytest.raises(DiskError) as caught:
        writes.attempt("runs/a/metrics.jsonl", failing(code))
    assert str(caught.value) == (
        f"runs/a/metrics.jsonl could not be written: {os.strerror(code)}. Earlier "
        f"checkpoints are intact. {disk_remedy(code)}, and the same command resumes "
        "from the last one."
    )
    # What fails while the run ends does not hide the first failure.
    assert writes.attempt("another", failing(errno.EROFS)) is None


def test_a_tolerant_run_warns_once_for_each_kind():
    said = []
    writes = DiskWrites(tolerant=True, warn=said.append)
    for _ in range(3):
        assert writes.attempt("one", failing(errno.ENOSPC)) is None
        assert writes.attempt("two", failing(errno.EROFS)) is None
    assert len(said) == 2
    assert said[0].startswith("one could not be written: No space left on device.")
    assert "Training continues" in said[0]
    assert said[1].startswith("two could not be written: Read-only file system.")
    assert writes.reason == "Read-only file system"
    assert writes.attempt("one", lambda: 5) == 5


@pytest.mark.parametrize("tolerant", [True, False])
def test_other_errors_are_not_of_the_disk(tolerant):
    writes = DiskWrites(tolerant=tolerant, warn=pytest.fail)
    with pytest.raises(OSError, match="too many"):
        writes.attempt("x", lambda: (_ for _ in ()).throw(OSError(24, "too many")))
    assert not FAILED.is_set()


def test_failures_are_found_in_causes_and_in_messages_of_tensorstore():
    text = "RESOURCE_EXHAUSTED: ... No space left on device [os_error_code='28']"
    assert disk_failure(ValueError(text)) == errno.ENOSPC
    outer = CheckpointError("no")
    outer.__cause__ = OSError(errno.EDQUOT, "quota")
    assert disk_failure(outer) == errno.EDQUOT
    assert disk_failure(ValueError("os_error_code='24'")) is None
    assert disk_failure(OSError("without a number")) is None


def test_a_folder_that_is_gone_is_not_writable(tmp_path):
    check_writable(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        check_writable(tmp_path / "gone")


def test_checkpoints_of_a_folder_that_is_gone_fail_and_can_be_saved_again(tmp_path):
    folder, aside = tmp_path / "checkpoints", tmp_path / "aside"
    state = {"w": jnp.arange(3.0)}
    with Checkpoints(folder, keep=2) as checkpoints:
        checkpoints.save(1, state, {})
        checkpoints.wait()
        folder.rename(aside)
        with pytest.raises(DiskError, match="No such file or directory") as caught:
            checkpoints.save(2, state, {})
        assert caught.value.code == errno.ENOENT
        assert not folder.exists()
        aside.rename(folder)
        for step in (3, 4):
            checkpoints.save(step, state, {})
        checkpoints.wait()
        assert checkpoints.steps() == [3, 4]
    assert sorted(p.name for p in folder.iterdir()) == ["3", "4"]


def test_what_a_failed_write_left_is_removed(tmp_path, monkeypatch):
    def write(*_):
        (tmp_path / "1.orbax-checkpoint-tmp").mkdir()
        raise OSError(errno.ENOSPC, "No space left on device")

    with Checkpoints(tmp_path, keep=1) as checkpoints:
        with monkeypatch.context() as patch:
            patch.setattr(CheckpointBackend, "write", write)
            with pytest.raises(DiskError, match="No space left on device"):
                checkpoints.save(1, {"w": jnp.ones(2)}, {})
        assert not list(tmp_path.iterdir())


class FullFile:
    """A file that takes some bytes and is then full."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        if not self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(data[: self._room])
        self._room -= len(part)
        return self._file.write(part)

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_a_line_that_does_not_fit_leaves_no_part(tmp_path):
    lines = JsonLines(tmp_path / "metrics.jsonl")
    lines.write(1, {"a": 1})
    file, lines._file = lines._file, FullFile(lines._file, room=5)
    with pytest.raises(OSError, match="No space"):
        lines.write(2, {"a": 2})
    lines._file = file
    lines.write(3, {"a": 3})
    lines.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text == '{"step": 1, "a": 1}\n{"step": 3, "a": 3}\n'


def test_events_that_cannot_be_written_do_not_stop_the_thread(tmp_path, monkeypatch):
    monkeypatch.setattr(loggers, "_FLUSH_SECONDS", 0)
    board = TensorBoard(tmp_path)
    full = [True]
    writer = board._events._writer
    flush = writer.flush

    def failing_flush():
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush()

    monkeypatch.setattr(writer, "flush", failing_flush)
    failures = 0
    for step in range(100):  # more than the queue takes
        try:
            board.scalars(step, {"a": 1.0})
        except OSError:
            failures += 1
    full[0] = False
    board._events._error = None
    board.close()
    assert (tmp_path / next(tmp_path.iterdir())).stat().st_size > 1000


def test_a_run_whose_checkpoints_vanish_continues_and_says_so(tmp_path):
    folder = tmp_path / "run"
    (tmp_path / "mine_to_remove.py").write_text(
        "import time\n"
        "class Remover:\n"
        "    def __init__(self, run):\n"
        "        self._folder = run.folder / 'checkpoints'\n"
        "    def on_step(self, step, metrics):\n"
        "        if step == 5:\n"
        "            while not (self._folder / '4').exists():\n"
        "                time.sleep(0.05)\n"
        "            self._folder.rename(self._folder.with_name('aside'))\n"
        "        if step == 9:\n"
        "            self._folder.with_name('aside').rename(self._folder)\n"
        "    def on_checkpoint(self, step, folder): pass\n"
        "    def on_evaluation(self, step, values): pass\n"
        "    def on_samples(self, step, pictures): pass\n"
        "    def close(self): pass\n"
    )
    command = [
        *(sys.executable, "-m", "wgan_jax", "train", "--config=digits_wgan_gp"),
        *("--workdir=run", "--config.training.batch_size=8", "--config.log.every=1"),
        *("--config.generator.width=8", "--config.critic.width=8"),
        *("--config.checkpoint.every=2", "--config.evaluation=None"),
        *("--config.samples.every=20", "--config.samples.count=4"),
        "--config.log.callbacks=('mine_to_remove:Remover',)",
    ]

    def run(iterations, on_failure):
        return subprocess.run(
            [
                *command,
                f"--config.training.iterations={iterations}",
                f"--config.checkpoint.on_failure={on_failure}",
            ],
            cwd=tmp_path,
            env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=500,
        )

    stopped = run(8, "stop")
    assert stopped.returncode == 2
    assert "Traceback" not in stopped.stderr
    (line,) = [x for x in stopped.stderr.splitlines() if "wgan_jax: " in x]
    assert "of iteration 6 could not be written: No such file or directory." in line
    assert (folder / "report.html").exists()
    (folder / "aside").rename(folder / "checkpoints")

    continued = run(8, "continue")
    assert continued.returncode == 2
    said = continued.stderr.splitlines()
    assert len([x for x in said if "Training continues" in x]) == 1
    assert said[-1] == (
        "The last checkpoint is that of iteration 4, because that of iteration 8 could "
        "not be written (No such file or directory). The same command continues from "
        "there."
    )
    assert "Done: iteration 8" in continued.stdout
    (folder / "aside").rename(folder / "checkpoints")

    healed = run(10, "continue")
    assert healed.returncode == 0
    assert "Traceback" not in healed.stderr
    assert "Iteration 10: checkpoint saved." in healed.stderr
    state = {"w": jnp.zeros(())}
    with Checkpoints(folder / "checkpoints", keep=3, read_only=True) as checkpoints:
        assert checkpoints.steps()[-1] == 10
        leaves, _, step = checkpoints.restore_leaves(state)
    assert step == 10
    assert all(np.isfinite(jax.device_get(x)).all() for x in leaves.values())
