"""Tests of saving and restoring checkpoints, and of damaged checkpoints."""

import gc
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from xla_flags import xla_flags

from wgan_jax.checkpointing.backend import CheckpointBackend
from wgan_jax.checkpointing.checkpoints import Checkpoints, as_target
from wgan_jax.checkpointing.manifest import (
    crc32,
    first_difference,
    flatten,
    is_intact,
    make_manifest,
)
from wgan_jax.errors import CheckpointError


class State(flax.struct.PyTreeNode):
    step: jax.Array
    params: dict[str, Any]
    opt_state: Any
    pair: tuple[Any, ...]
    average: Any = None


def make_state(seed: int = 0) -> State:
    rng = np.random.default_rng(seed)
    params = {
        "kernel": jnp.asarray(rng.normal(size=(3, 4)), jnp.float32),
        "conv/kernel/sigma": jnp.asarray(rng.normal(), jnp.float32),
        "half": jnp.asarray(rng.normal(size=5), jnp.bfloat16),
        "none": jnp.zeros((0, 2), jnp.float32),
    }
    moments = jax.tree.map(lambda x: x + 1, optax.adam(1e-3).init(params))
    pair = (jnp.arange(5, dtype=jnp.uint8), jnp.array([True, False]), {})
    return State(jnp.int32(seed), params, moments, pair)


def assert_same(left: Any, right: Any) -> None:
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for path, leaf in flatten(left).items():
        other = flatten(right)[path]
        assert leaf.dtype == other.dtype, path
        assert np.asarray(leaf).tobytes() == np.asarray(other).tobytes(), path


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
    """Returns a directory with steps 1 and 2, with the states of seeds 1 and 2."""
    directory = tmp_path_factory.mktemp("two")
    with Checkpoints(directory, keep=2) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, make_state(step), {"iteration": step})
    return directory


def files_of(directory: Path, step: int) -> list[Path]:
    return sorted(p for p in (directory / str(step)).rglob("*") if p.is_file())


def restore(directory: Path, **kwargs: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    with Checkpoints(directory, keep=2, warn=said.append) as checkpoints:
        return checkpoints.restore(make_state(), **kwargs), said


# --- saving and restoring


def test_restore_returns_every_leaf_and_container(tmp_path):
    meta = {"iteration": 7, "nested": {"a": [1, 2.5, None, "x"]}}
    with Checkpoints(tmp_path / "new" / "run", keep=1) as checkpoints:
        assert checkpoints.restore(make_state()) is None
        assert checkpoints.steps() == []
        assert checkpoints.save(7, make_state(7), meta) is True
        state, found, step = checkpoints.restore(make_state())
    assert_same(state, make_state(7))
    assert isinstance(state, State)
    assert isinstance(state.opt_state[0], optax.ScaleByAdamState)
    assert (found, step) == (meta, 7)


def test_abstract_target_restores_like_a_state(two_steps):
    with Checkpoints(two_steps, keep=2) as checkpoints:
        abstract = jax.eval_shape(make_state)
        assert_same(checkpoints.restore(abstract)[0], make_state(2))


def test_target_determines_the_sharding_of_each_leaf():
    device = jax.devices()[0]
    wanted = jax.sharding.SingleDeviceSharding(device)
    state = {"a": jnp.ones(3), "b": np.ones((2, 2), np.float32)}
    for target in (as_target(state), as_target(state, sharding=wanted)):
        assert jax.tree.map(lambda x: x.sharding, target) == {"a": wanted, "b": wanted}
        assert target["b"].shape == (2, 2)


def test_keep_retains_the_newest_checkpoints(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (0, 5, 10, 20):
            assert checkpoints.save(step, make_state(step), {})
        checkpoints.wait()
        assert checkpoints.steps() == [10, 20]
        assert checkpoints.restore(make_state(), step=10)[2] == 10
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["10", "20"]


def test_saving_an_existing_step_changes_nothing(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.save(3, make_state(3), {"try": 1}) is True
        assert checkpoints.save(3, make_state(4), {"try": 2}) is False
        assert checkpoints.save(4, make_state(4), {}) is True
        assert checkpoints.save(3, make_state(4), {"try": 3}) is False
        state, meta, _ = checkpoints.restore(make_state(), step=3)
    assert meta == {"try": 1}
    assert_same(state, make_state(3))


def test_state_can_be_donated_immediately_after_save(tmp_path):
    bump = jax.jit(lambda s: jax.tree.map(lambda x: x * 0 - 7, s), donate_argnums=0)
    size = 1_000_000
    state = {"a": jnp.arange(size, dtype=jnp.float32), "b": jnp.ones((size,))}
    want = jax.tree.map(np.array, state)
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        for step in range(3):
            given, state = state, None
            checkpoints.save(step, given, {})
            state = jax.block_until_ready(bump(given))
            assert given["a"].is_deleted()
            found = checkpoints.restore(state)[0]
            assert_same(found, want)
            # The restored state can be donated, too.
            assert float(bump(found)["a"][5]) == -7
            state = {"a": state["a"] + step, "b": state["b"] - step}
            want = jax.tree.map(np.array, state)


def test_save_rejects_leaves_that_cannot_be_restored(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        for leaf, problem in [
            (1.5, "is a float"),
            (np.ones(2), "is a ndarray"),
            (jax.random.key(0), "is a random key"),
        ]:
            with pytest.raises(CheckpointError, match=rf"but \['x'\] {problem}"):
                checkpoints.save(1, {"x": leaf}, {})
        with pytest.raises(CheckpointError, match="meta cannot be written as JSON"):
            checkpoints.save(1, {"x": jnp.ones(2)}, {"f": len})
        assert checkpoints.steps() == []


def test_save_rejects_an_older_step(tmp_path):
    with Checkpoints(tmp_path, keep=3) as checkpoints:
        for step in (1, 2, 4):
            checkpoints.save(step, make_state(), {})
        with pytest.raises(CheckpointError, match=r"step 3 is below the newest .* 4,"):
            checkpoints.save(3, make_state(), {})
        assert checkpoints.steps() == [1, 2, 4]


def test_read_only_changes_no_files(two_steps, tmp_path):
    with Checkpoints(tmp_path / "no", keep=1, read_only=True) as checkpoints:
        assert checkpoints.restore(make_state()) is None
    assert not (tmp_path / "no").exists()
    copy = shutil.copytree(two_steps, tmp_path / "run")
    being_written = copy / "3.orbax-checkpoint-tmp"
    being_written.mkdir()
    with Checkpoints(copy, keep=1, read_only=True) as checkpoints:
        assert checkpoints.restore(make_state())[2] == 2
        with pytest.raises(CheckpointError, match="open read-only"):
            checkpoints.save(3, make_state(), {})
    assert being_written.exists()
    with Checkpoints(copy, keep=2):
        assert not being_written.exists()
    assert (copy / "1").exists()


def test_keep_must_be_at_least_1(tmp_path):
    with pytest.raises(ValueError, match="keep is 0; it must be at least 1"):
        Checkpoints(tmp_path, keep=0)


def test_failed_write_raises_checkpoint_error(tmp_path, monkeypatch):
    # Simulated, because Orbax's threads wait for five minutes after a real failure.
    def fail(*_: Any) -> None:
        raise OSError("No space left on device\nin line 7")

    with Checkpoints(tmp_path, keep=1) as checkpoints:
        for name, call in [
            ("write", lambda: checkpoints.save(1, make_state(), {})),
            ("wait", checkpoints.wait),
        ]:
            with monkeypatch.context() as patch:
                patch.setattr(CheckpointBackend, name, fail)
                with pytest.raises(CheckpointError) as failure:
                    call()
            assert str(failure.value) == (
                f"a checkpoint could not be written to {tmp_path} (OSError: No space "
                "left on device). Check the free space and the permissions."
            )


# --- mismatched states


def test_missing_step_error_lists_existing_steps(two_steps):
    with pytest.raises(
        CheckpointError, match=r"no checkpoint of step 9; choices: 1, 2\."
    ):
        restore(two_steps, step=9)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda s: s.replace(params=s.params | {"kernel": jnp.ones((3, 5))}),
            ".params['kernel'] is float32[3, 4] in the checkpoint and float32[3, 5]",
        ),
        (
            lambda s: s.replace(step=jnp.float32(0)),
            ".step is int32[] in the checkpoint and float32[] in the state",
        ),
        (
            lambda s: s.replace(average={"w": jnp.ones(2)}),
            ".average['w'] is absent in the checkpoint and float32[2] in the state",
        ),
        (
            lambda s: s.replace(pair=s.pair[:1]),
            ".pair[1] is bool[2] in the checkpoint and absent in the state",
        ),
        (
            lambda s: s.replace(params=s.params | {"none": jnp.ones((0, 3))}),
            ".params['none'] is float32[0, 2] in the checkpoint and float32[0, 3]",
        ),
    ],
)
def test_restore_rejects_a_mismatched_state(two_steps, change, sentence):
    said: list[str] = []
    with Checkpoints(two_steps, keep=2, warn=said.append) as checkpoints:
        with pytest.raises(CheckpointError) as refusal:
            checkpoints.restore(change(make_state()))
        assert checkpoints.save(2, make_state(), {}) is False  # nothing is renamed
    assert sentence in str(refusal.value)
    assert str(refusal.value).startswith("checkpoint 2 in ")
    assert "\n" not in str(refusal.value)
    assert said == []


def test_manifest_detects_changes():
    leaves = {"a": jnp.arange(3.0), "b": jnp.ones((), jnp.bfloat16)}
    inventory = make_manifest({"n": 1, "float": 0.1, "nan": float("nan")}, leaves)
    assert is_intact(json.loads(json.dumps(inventory)))
    assert not is_intact(inventory | {"meta": {"n": 2}})
    assert not is_intact({"meta": {}, "leaves": {}})
    assert first_difference(inventory, as_target(leaves)) == ""
    # The standard check value of CRC-32.
    assert crc32(jnp.asarray(np.frombuffer(b"123456789", np.uint8))) == 0xCBF43926
    assert crc32(leaves["b"]) != crc32(jnp.asarray(1.0078125, jnp.bfloat16))


# --- broken files


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Flips one bit in each of several bytes, because a single byte may be padding."""
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 3, len(content), max(1, len(content) // 5)):
        content[at] ^= 1
    path.write_bytes(content)


def garble(path: Path) -> None:
    path.write_bytes(b"\xff\x00 not what it was {")


def empty_list(path: Path) -> None:
    path.write_text("[]")


@pytest.mark.parametrize("damage", [truncate, Path.unlink, flip, garble, empty_list])
def test_damaged_file_never_changes_restored_values(two_steps, tmp_path, damage):
    fell_back = 0
    for index, file in enumerate(files_of(two_steps, 2)):
        copy = shutil.copytree(two_steps, tmp_path / str(index))
        damage(copy / file.relative_to(two_steps))
        (state, meta, step), said = restore(copy)
        assert meta == {"iteration": step}
        assert_same(state, make_state(step))
        if step == 1:
            fell_back += 1
            assert len(said) == 1
            assert said[0].startswith(f"checkpoint 2 in {copy} is broken (")
            assert "\n" not in said[0]
        else:
            assert said == []
        shutil.rmtree(copy)
    # Completion markers and sharding files are not needed to read the values, nor are
    # the files of each process, which are merged at the end.
    assert fell_back >= 3


def array_blobs(directory: Path, step: int) -> list[Path]:
    return [p for p in files_of(directory, step) if p.parent.name == "d"]


def test_flipped_bit_in_values_is_detected(tmp_path):
    # Incompressible values, so that the file contains them uncompressed.
    values = np.random.default_rng(0).integers(0, 256, 4096, np.uint8)
    state = {"w": jnp.asarray(values)}
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(1, state, {})
        checkpoints.save(2, state, {})
    blob = next(
        b for b in array_blobs(tmp_path, 2) if values.tobytes() in b.read_bytes()
    )
    content = bytearray(blob.read_bytes())
    content[content.index(values.tobytes()) + 1000] ^= 0x10
    blob.write_bytes(content)
    said: list[str] = []
    with Checkpoints(tmp_path, keep=2, warn=said.append) as checkpoints:
        found, _, step = checkpoints.restore(state)
    assert step == 1
    assert_same(found, state)
    assert "2 in" in said[0]
    assert "is broken (['w'] has changed since it was written);" in said[0]


class Dropped:
    """Object in a reference cycle that warns when collected, as a dropped read."""

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        logging.getLogger("asyncio").error("exception was never retrieved")
        raise RuntimeError("a page of text")


def test_broken_checkpoint_logs_one_warning(two_steps, monkeypatch, caplog):
    read = CheckpointBackend.read_arrays

    def fail(store: CheckpointBackend, step: int, wanted: Any) -> Any:
        if step == 2:
            Dropped()
            raise OSError("unreadable")
        return read(store, step, wanted)

    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", reported.append)
    monkeypatch.setattr(CheckpointBackend, "read_arrays", fail)
    with Checkpoints(two_steps, keep=2) as checkpoints:
        gc.collect()
        caplog.clear()
        gc.disable()  # otherwise an automatic collection could hide the effect
        try:
            assert checkpoints.restore(make_state())[2] == 1
        finally:
            gc.enable()
        gc.collect()
    assert reported == []
    assert [record.name for record in caplog.records] == [
        "wgan_jax.checkpointing.checkpoints"
    ]
    assert "(OSError: unreadable)" in caplog.text
    # Warnings are muted only during a restore.
    Dropped()
    gc.collect()
    assert len(reported) == 1
    assert caplog.records[-1].name == "asyncio"


def test_flipped_bit_in_manifest_is_reported_as_broken(two_steps, tmp_path):
    copy = shutil.copytree(two_steps, tmp_path / "run")
    file = copy / "2" / "inventory" / "metadata"
    text = file.read_text()
    assert text.count("[3, 4]") == 3  # the kernel and its two moments
    file.write_text(text.replace("[3, 4]", "[3, 5]"))
    (state, _, step), said = restore(copy)
    assert step == 1
    assert_same(state, make_state(1))
    assert "is broken (its manifest has changed since it was written);" in said[0]


def test_training_continues_after_a_broken_checkpoint(two_steps, tmp_path):
    copy = shutil.copytree(two_steps, tmp_path / "run")
    garble(copy / "2" / "inventory" / "metadata")
    with Checkpoints(copy, keep=1, warn=lambda _: None) as checkpoints:
        assert checkpoints.restore(make_state())[2] == 1
        assert checkpoints.steps() == [1, 2]
        assert checkpoints.save(2, make_state(22), {}) is True
        assert_same(checkpoints.restore(make_state())[0], make_state(22))
        assert checkpoints.steps() == [2]
    assert (copy / "2.broken" / "inventory" / "metadata").exists()
    garble(copy / "2" / "inventory" / "metadata")
    with Checkpoints(copy, keep=1, warn=lambda _: None) as checkpoints:
        with pytest.raises(
            CheckpointError, match=r"no checkpoint .* can be read .*2: "
        ):
            checkpoints.restore(make_state())
        with pytest.raises(CheckpointError, match=r"checkpoint 2 in .* is broken"):
            checkpoints.restore(make_state(), step=2)
    assert (copy / "2").exists()


# --- other processes

PRELUDE = """
import os, pathlib, signal, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
from wgan_jax.checkpointing.checkpoints import Checkpoints, as_target
directory = pathlib.Path(sys.argv[1])
mesh = Mesh(np.array(jax.devices()), ("data",), axis_types=(AxisType.Auto,))
rows, copies = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
values = {"split": np.arange(48.0, dtype=np.float32).reshape(16, 3),
          "copied": np.arange(5, dtype=np.int32)}
target = {"split": jax.ShapeDtypeStruct((16, 3), jnp.float32, sharding=rows),
          "copied": jax.ShapeDtypeStruct((5,), jnp.int32, sharding=copies)}
def check(step, n):
    assert len(jax.devices()) == n
    state, meta, found = checkpoints.restore(target)
    assert found == step and meta == {"step": step}
    for k in values:
        assert state[k].sharding == target[k].sharding
        np.testing.assert_array_equal(np.asarray(state[k]), values[k] + step)
def save(step):
    state = jax.tree.map(lambda v, t: jax.device_put(v + v.dtype.type(step),
                         t.sharding), values, target)
    assert checkpoints.save(step, state, {"step": step})
"""


def run_apart(body: str, directory: Path, *, devices: int = 1) -> int:
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": xla_flags(devices),
    }
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(body), str(directory)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def test_restore_from_eight_devices_to_one_and_back(tmp_path):
    body = """
        with Checkpoints(directory, keep=3) as checkpoints:
            {check}
            save({step})
        """
    for step, devices, before in [(1, 8, 0), (2, 1, 1), (3, 8, 2)]:
        check = f"check({before}, {devices})" if before else "pass"
        body_now = body.format(check=check, step=step)
        assert run_apart(body_now, tmp_path, devices=devices) == 0


def test_kill_during_save_keeps_the_previous_checkpoint(tmp_path):
    body = """
        checkpoints = Checkpoints(directory, keep=2)
        save(1)
        checkpoints.wait()
        noise = np.random.default_rng(0).integers(0, 256, 2**26, np.uint8)
        checkpoints.save(2, {"noise": jnp.asarray(noise)}, {})
        while True:
            assert not (directory / "2").exists(), "written before it was killed"
            blobs = directory.glob("2.*/state.*/ocdbt.process_0/d/*")
            if any(blob.stat().st_size > 2**20 for blob in blobs):
                os.kill(os.getpid(), signal.SIGKILL)
        """
    assert run_apart(body, tmp_path) == -signal.SIGKILL
    names = sorted(p.name for p in tmp_path.iterdir())
    assert any("tmp" in name for name in names), names
    target = {"split": jnp.ones((16, 3)), "copied": jnp.ones(5, jnp.int32)}
    said: list[str] = []
    with Checkpoints(tmp_path, keep=2, warn=said.append) as checkpoints:
        assert [p.name for p in tmp_path.iterdir()] == ["1"]
        assert checkpoints.steps() == [1]
        state, meta, step = checkpoints.restore(target)
        assert (meta, step, said) == ({"step": 1}, 1, [])
        np.testing.assert_array_equal(state["copied"], np.arange(5) + 1)
        assert checkpoints.save(2, state, {}) is True
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2"]


TWO_PROCESSES = """
import pathlib, sys
import jax
jax.config.update("jax_num_cpu_devices", 1)
directory, rank, port = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=rank)
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec as P
from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.checkpointing.backend import CheckpointBackend
mesh = Mesh(np.array(jax.devices()), ("data",), axis_types=(AxisType.Auto,))
placing = {"split": NamedSharding(mesh, P("data")), "copied": NamedSharding(mesh, P())}
def values(step):
    return np.arange(24.0, dtype=np.float32).reshape(8, 3) + step
def state(step):
    return {name: jax.make_array_from_callback((8, 3), s, lambda at: values(step)[at])
            for name, s in placing.items()}
said = []
with Checkpoints(directory, keep=2, warn=said.append) as checkpoints:
    assert checkpoints.restore(state(0)) is None
    for step in (1, 2):
        assert checkpoints.save(step, state(step), {"step": step})
    checkpoints.wait()
    read = CheckpointBackend.read_arrays
    def fail(self, step, wanted):
        found = read(self, step, wanted)
        if step == 2 and rank == 1:
            raise OSError("this process alone cannot read")
        return found
    CheckpointBackend.read_arrays = fail
    found, meta, step = checkpoints.restore(state(0))
    CheckpointBackend.read_arrays = read
    assert (meta, step, len(said)) == ({"step": 1}, 1, 1)
    for leaf in found.values():
        for shard in leaf.addressable_shards:
            np.testing.assert_array_equal(shard.data, values(1)[shard.index])
    assert checkpoints.save(2, state(5), {"step": 5})
    assert checkpoints.restore(state(0))[1:] == ({"step": 5}, 2)
jax.distributed.shutdown()
"""


def test_two_processes_save_restore_and_fall_back_together(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": xla_flags()}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_PROCESSES, str(tmp_path), str(rank), port],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    try:
        for run in runs:
            _, said = run.communicate(timeout=90)
            assert run.returncode == 0, said
    finally:
        for run in runs:
            run.kill()
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["1", "2", "2.broken"]
