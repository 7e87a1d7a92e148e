"""Checkpoints on disk: written while training goes on, checked when read.

Every leaf of the state is stored under its path, and beside it in a JSON file
are its shape, its dtype and a CRC32 of its bytes. Orbax casts a leaf of
another dtype without a word and restores a flipped bit as a value, so neither
is left to it.
"""

import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import Sharding, SingleDeviceSharding

from wgan_jax.types import Array, PyTree

StateT = TypeVar("StateT")
T = TypeVar("T")

_STATE, _RECORD = "state", "record"
_REASON_LENGTH = 200  # characters of another library's message in ours


class CheckpointError(Exception):
    """A checkpoint cannot be written, is not there, or does not fit."""


class _Broken(Exception):
    """A checkpoint whose files are not as they were written."""


class Checkpoints:
    """The checkpoints of one run, each in a folder named by its step.

    All processes of a run open it, save and restore together. A folder appears
    under its name only when complete, so a killed run leaves no half of one.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        keep: int,
        read_only: bool = False,
        warn: Callable[[str], object] = logging.getLogger(__name__).warning,
    ) -> None:
        """Opens a directory and removes what an interrupted save left there.

        Args:
            directory: made if it is not there.
            keep: checkpoints that stay, the newest ones, at least 1.
            read_only: make, remove and save nothing, as beside a run that is
                being trained.
            warn: takes a sentence for the user when a checkpoint is broken.

        Raises:
            ValueError: if ``keep`` is less than 1.
        """
        if keep < 1:
            raise ValueError(f"keep is {keep}; it must be at least 1.")
        self._directory = Path(directory).absolute()
        self._read_only, self._warn = read_only, warn
        self._broken: list[int] = []
        if read_only and not self._directory.is_dir():
            self._manager = None
            return
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(keep),
            create=not read_only,
            cleanup_tmp_directories=not read_only,
            # Otherwise opening reads each step's metadata, and raises if broken.
            lightweight_initialize=True,
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def steps(self) -> list[int]:
        """Steps that can be asked for, ascending; broken ones are among them."""
        return [] if self._manager is None else sorted(self._manager.all_steps())

    def save(self, step: int, state: PyTree, meta: Mapping[str, Any]) -> bool:
        """Takes a copy of the state and writes it while the caller goes on.

        The caller may donate the state to a compiled step at once. Checkpoints
        that the last ``restore`` found broken are first renamed to
        ``<step>.broken``, or they would count among those that stay.

        Args:
            step: >= 0, and not below the newest one here.
            state: pytree of ``jax.Array``, of any structure and placing.
            meta: what else ``restore`` shall return; anything JSON can hold.

        Returns:
            False if there is a checkpoint of this step, which stays as it is.

        Raises:
            CheckpointError: the step is below the newest, the state or meta
                cannot be stored, or this or the last write failed.
        """
        if self._manager is None or self._read_only:
            raise CheckpointError(
                f"{self._directory} is open for reading; open it with "
                f"read_only=False to save step {step}."
            )
        self._set_broken_aside()
        steps = self.steps()
        if step in steps:
            return False
        if step < max(steps, default=0):
            raise CheckpointError(
                f"step {step} is below the newest checkpoint, {steps[-1]}, in "
                f"{self._directory}; go on from that one or save elsewhere."
            )
        leaves = {path: _copy(path, leaf) for path, leaf in _flatten(state).items()}
        record = _record(meta, leaves)
        # Orbax refuses arrays without elements; their shape says all of them.
        arrays = {path: leaf for path, leaf in leaves.items() if leaf.size}
        arguments = ocp.args.Composite(
            **{
                _STATE: ocp.args.StandardSave(arrays),
                _RECORD: ocp.args.JsonSave(record),
            }
        )
        return self._write(lambda m: m.save(step, args=arguments))

    def restore(
        self, target: StateT, *, step: int | None = None
    ) -> tuple[StateT, dict[str, Any], int] | None:
        """The newest checkpoint that is as it was written.

        Args:
            target: a state, or one of ``jax.ShapeDtypeStruct``: the structure,
                shapes, dtypes and placing to restore to. The placing need not
                be that of the save; a leaf without one goes to this process's
                first device.
            step: this one and no other, rather than the newest.

        Returns:
            The state, the meta and the step; None if there is no checkpoint.

        Raises:
            CheckpointError: no checkpoint can be read, the one asked for is
                missing or broken, or the newest does not fit the target.
        """
        self.wait()
        self._broken = []
        steps = self.steps()
        if step is not None:
            return self._restore_exactly(step, target)
        reason = ""
        for candidate in reversed(steps):
            try:
                return (*self._read(candidate, target), candidate)
            except _Broken as broken:
                reason = str(broken)
                self._broken.append(candidate)
                self._warn(
                    f"checkpoint {candidate} in {self._directory} is broken "
                    f"({reason}); the next older one is tried."
                )
        if not steps:
            return None
        raise CheckpointError(
            f"no checkpoint in {self._directory} can be read (the last one tried, "
            f"{steps[0]}: {reason}); put back a copy, or start in another folder."
        )

    def wait(self) -> None:
        """Returns when what was saved is on disk.

        Raises:
            CheckpointError: the write failed.
        """
        if self._manager is not None:
            self._write(lambda m: m.wait_until_finished())

    def close(self) -> None:
        """Waits, then lets go of the directory.

        Raises:
            CheckpointError: the write failed.
        """
        if self._manager is None:
            return
        try:
            self.wait()
        finally:
            self._manager.close()
            self._manager = None

    def _write(self, call: Callable[[ocp.CheckpointManager], T]) -> T:
        try:
            return call(self._manager)
        except Exception as error:  # Orbax names no base class for its own
            raise CheckpointError(
                f"a checkpoint could not be written to {self._directory} "
                f"({_reason(error)}); see that there is room and permission."
            ) from error

    def _set_broken_aside(self) -> None:
        if not self._broken:
            return
        if jax.process_index() == 0:
            for step in self._broken:
                _rename_broken(self._directory / str(step))
        multihost_utils.sync_global_devices("broken checkpoints set aside")
        self._broken = []
        assert self._manager is not None
        self._manager.reload()

    def _restore_exactly(
        self, step: int, target: StateT
    ) -> tuple[StateT, dict[str, Any], int]:
        steps = self.steps()
        if step not in steps:
            listed = ", ".join(map(str, steps)) or "none"
            raise CheckpointError(
                f"{self._directory} has no checkpoint of step {step}; there: {listed}."
            )
        try:
            return (*self._read(step, target), step)
        except _Broken as broken:
            raise CheckpointError(
                f"checkpoint {step} in {self._directory} is broken ({broken}); leave "
                "the step out to restore the newest one that is not."
            ) from broken

    def _read(self, step: int, target: StateT) -> tuple[StateT, dict[str, Any]]:
        wanted = _flatten(as_target(target))
        record = _on_all_processes(lambda: self._read_record(step))
        difference = _first_difference(record["leaves"], wanted)
        if difference:
            raise CheckpointError(
                f"checkpoint {step} in {self._directory} does not fit: {difference}; "
                "use the config that it was written with, or another folder."
            )
        leaves = _on_all_processes(lambda: self._read_leaves(step, wanted, record))
        treedef = jax.tree.structure(target)
        return jax.tree.unflatten(treedef, list(leaves.values())), record["meta"]

    def _read_record(self, step: int) -> dict[str, Any]:
        arguments = ocp.args.Composite(**{_RECORD: ocp.args.JsonRestore()})
        record = self._manager.restore(step, args=arguments)[_RECORD]
        if record.pop("crc32") != _crc32_of_json(record):
            raise _Broken("its record has changed since it was written")
        return record

    def _read_leaves(
        self, step: int, wanted: dict[str, Any], record: dict[str, Any]
    ) -> dict[str, Array]:
        arrays = {path: leaf for path, leaf in wanted.items() if leaf.size}
        arguments = ocp.args.Composite(**{_STATE: ocp.args.StandardRestore(arrays)})
        found = self._manager.restore(step, args=arguments)[_STATE]
        for path, leaf in found.items():
            if _crc32(leaf) != record["leaves"][path]["crc32"]:
                raise _Broken(f"{path} has changed since it was written")
        return {
            path: found[path] if leaf.size else _empty(leaf)
            for path, leaf in wanted.items()
        }


def as_target(state: StateT, *, sharding: Sharding | None = None) -> StateT:
    """What ``Checkpoints.restore`` needs to know of a state.

    Args:
        state: pytree of arrays or of ``jax.ShapeDtypeStruct``.
        sharding: where every leaf shall go; each stays on its own by default,
            and one that has none goes to this process's first device.

    Returns:
        The same tree of ``jax.ShapeDtypeStruct``, each with a placing.
    """

    def abstract(leaf: Any) -> jax.ShapeDtypeStruct:
        place = sharding or getattr(leaf, "sharding", None)
        place = place or SingleDeviceSharding(jax.local_devices()[0])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)

    return jax.tree.map(abstract, state)


def _flatten(state: PyTree) -> dict[str, Any]:
    """Leaves by path, such as ``.critic.params['conv']['kernel']``, in order."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _copy(path: str, leaf: Any) -> Array:
    if not isinstance(leaf, jax.Array):
        problem = f"a {type(leaf).__name__}; make it one, or put it in the meta"
    elif jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        problem = "a random key; store the jax.random.key_data of it"
    else:
        return jnp.copy(leaf)
    raise CheckpointError(f"a state holds arrays only, but {path} is {problem}.")


def _record(meta: Mapping[str, Any], leaves: Mapping[str, Array]) -> dict[str, Any]:
    described = {
        path: {
            "shape": list(leaf.shape),
            "dtype": str(leaf.dtype),
            "crc32": _crc32(leaf),
        }
        for path, leaf in leaves.items()
    }
    try:
        # There and back, so that the sum is of what a reader will see.
        record = json.loads(json.dumps({"meta": dict(meta), "leaves": described}))
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"the meta cannot be written as JSON ({error}); use numbers, strings, "
            "lists and dicts."
        ) from error
    return record | {"crc32": _crc32_of_json(record)}


def _crc32_of_json(record: Any) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def _crc32(leaf: Array) -> int:
    """Of the whole array's bytes in row order, wherever its parts are."""
    if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        leaf = multihost_utils.process_allgather(leaf, tiled=True)
    values = np.ascontiguousarray(leaf).reshape(-1)
    # The buffer protocol knows no bfloat16.
    return zlib.crc32(values.view(np.uint8))


def _empty(leaf: jax.ShapeDtypeStruct) -> Array:
    return jnp.empty(leaf.shape, leaf.dtype, device=leaf.sharding)


def _first_difference(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Where the two first differ, in words; empty if nowhere."""
    stored = {path: f"{leaf['dtype']}{leaf['shape']}" for path, leaf in saved.items()}
    asked = {path: f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in wanted.items()}
    for path in [*asked, *stored]:
        left, right = stored.get(path, "absent"), asked.get(path, "absent")
        if left != right:
            return f"{path} is {left} in the checkpoint and {right} in the state"
    return ""


def _on_all_processes(read: Callable[[], T]) -> T:
    """What ``read`` returns; broken for all processes if it is for one."""
    value, reason = None, ""
    try:
        value = read()
    except Exception as error:  # broken files raise whatever the parser at hand does
        reason = _reason(error)
    if not np.all(multihost_utils.process_allgather(np.asarray(not reason))):
        raise _Broken(reason or "another process could not read it")
    return value  # type: ignore[return-value]


def _reason(error: Exception) -> str:
    if isinstance(error, _Broken):
        return str(error)
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0][:_REASON_LENGTH]}"


def _rename_broken(folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.broken")
    if aside.exists():
        shutil.rmtree(aside)
    if folder.exists():
        folder.rename(aside)
