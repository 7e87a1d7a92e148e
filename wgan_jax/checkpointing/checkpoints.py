"""Checkpoints, written during training and verified when they are read.

Leaves are stored by path, with a manifest. ``backend.py`` reads and writes.
This module verifies that the data read equals the data written.
"""

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from wgan_jax.checkpointing.backend import (
    CheckpointBackend,
    collect_dropped_reads,
    muted_failures,
)
from wgan_jax.checkpointing.manifest import (
    crc32,
    first_difference,
    flatten,
    is_intact,
    make_manifest,
)
from wgan_jax.checkpointing.targets import as_target, stored_as
from wgan_jax.errors import CheckpointError, DiskError
from wgan_jax.io.disks import disk_failure, disk_remedy
from wgan_jax.io.files import expanded
from wgan_jax.parallel import multiprocess
from wgan_jax.types import Array, PyTree

StateT = TypeVar("StateT")
T = TypeVar("T")

_LOGGER = logging.getLogger(__name__)
_REASON_LENGTH = 200  # characters of other libraries' messages to quote


class _Broken(Exception):
    """A checkpoint is damaged or incomplete."""


class Checkpoints:
    """Checkpoints of one run, each in a folder named by its step.

    All processes of a run must open, save and restore together. A folder gets
    its name only when it is complete, so a killed run leaves no partial
    checkpoint.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        keep: int,
        read_only: bool = False,
        warn: Callable[[str], object] = _LOGGER.warning,
    ) -> None:
        """Opens a directory and removes the remains of an interrupted save.

        Args:
            directory: path; created if missing.
            keep: number of checkpoints to keep, the newest ones, at least 1.
            read_only: do not create, remove or save anything, for use next to a
                run that is in training.
            warn: called with a message if a checkpoint is broken.

        Raises:
            ValueError: if ``keep`` is less than 1, or the directory is the address
                of remote storage.
        """
        directory = expanded(directory)
        if keep < 1:
            raise ValueError(f"keep is {keep}; it must be at least 1.")
        self._directory = directory.absolute()
        self._read_only, self._warn = read_only, warn
        self._broken: list[int] = []
        self._store = CheckpointBackend(self._directory, keep=keep, read_only=read_only)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Waiting for a write that involves a failed process would never end.
        if multiprocess.is_peer_failure(value):
            return
        try:
            self.close()
        except DiskError:
            if not isinstance(value, DiskError):
                raise
            # A pending write fails for the reason that ends the block.

    def steps(self) -> list[int]:
        """Returns all steps in ascending order, including broken checkpoints."""
        return self._store.steps()

    def save(self, step: int, state: PyTree, meta: Mapping[str, Any]) -> bool:
        """Copies the state and writes it in the background.

        The caller can donate the state to a compiled step immediately.
        Checkpoints that the last ``restore`` found broken are first renamed to
        ``<step>.broken``. Otherwise, they would count towards ``keep``.

        Args:
            step: >= 0, and not below the newest existing step.
            state: pytree of ``jax.Array`` with any structure and sharding.
            meta: further data for ``restore`` to return, serializable as JSON.

        Returns:
            False if a checkpoint of this step exists; it is not changed.

        Raises:
            CheckpointError: if the step is below the newest one, the state or
                meta cannot be stored, or this or the previous write failed:
                DiskError if the disk is full, read-only or gone. Earlier
                checkpoints are intact, and a later save can succeed.
        """
        if self._read_only:
            raise CheckpointError(
                f"{self._directory} is open read-only; use read_only=False to save "
                f"step {step}."
            )
        if self._broken:
            self._write(lambda: self._store.set_aside(self._broken))
            self._broken = []
        steps = self.steps()
        if step in steps:
            return False
        if step < max(steps, default=0):
            raise CheckpointError(
                f"step {step} is below the newest checkpoint, {steps[-1]}, in "
                f"{self._directory}. Continue from that checkpoint, or use another "
                "folder."
            )
        leaves = {path: _copy(path, leaf) for path, leaf in flatten(state).items()}
        try:
            inventory = make_manifest(meta, leaves)
        except ValueError as error:
            raise CheckpointError(str(error)) from error
        return self._write(lambda: self._store.write(step, leaves, inventory))

    def restore(
        self, target: StateT, *, step: int | None = None
    ) -> tuple[StateT, dict[str, Any], int] | None:
        """Restores the newest checkpoint that is intact.

        Args:
            target: a state, or a state of ``jax.ShapeDtypeStruct``, with the
                structure, shapes, dtypes and shardings to restore to. Shardings
                may differ from those at the time of saving. A leaf without one
                is placed on this process's first device.
            step: restore this step only, instead of the newest one.

        Returns:
            The state, the meta and the step; None if there is no checkpoint.

        Raises:
            CheckpointError: if no checkpoint can be read, the given step is
                missing or broken, or the checkpoint does not match the target.
        """
        return self._found(lambda candidate: self._read(candidate, target), step)

    def restore_leaves(
        self, like: PyTree, *, step: int | None = None
    ) -> tuple[dict[str, Array], int, int] | None:
        """Restores all arrays of a checkpoint, whatever the structure of its state.

        Args:
            like: a state, as the target of ``restore``. Its arrays may differ from
                those of the checkpoint. Those of the same path and shape have its
                shardings, and all others are replicated on its devices.
            step: restore this step only, instead of the newest one.

        Returns:
            The arrays by path, as in ``manifest.flatten``; the checksum of the
            manifest, which covers all arrays; and the step. None if there is no
            checkpoint.

        Raises:
            CheckpointError: if no checkpoint can be read, or the given step is
                missing or broken.
        """
        return self._found(lambda candidate: self._read_all(candidate, like), step)

    def meta(self, step: int) -> dict[str, Any] | None:
        """Returns the meta saved with a step; None if it cannot be read.

        Args:
            step: one of ``steps``. All processes must make this call.
        """
        self.wait()
        try:
            return _on_all_processes(lambda: self._read_inventory(step))["meta"]
        except _Broken:
            return None

    def discard(self, step: int) -> None:
        """Permanently removes a checkpoint, for example to write it again.

        Args:
            step: one of ``steps``. All processes must make this call.

        Raises:
            CheckpointError: if it cannot be removed.
        """
        self.wait()
        self._write(lambda: self._store.remove(step))

    def wait(self) -> None:
        """Waits until everything saved is on disk.

        Raises:
            CheckpointError: if the write failed.
        """
        self._write(self._store.wait)

    def is_saving(self) -> bool:
        """Returns whether a checkpoint is being written in the background."""
        return self._store.is_writing()

    def close(self) -> None:
        """Waits for pending writes, then closes the directory.

        Raises:
            CheckpointError: if the write failed.
        """
        try:
            self.wait()
        finally:
            self._store.close()

    def _write(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            if multiprocess.is_peer_failure(error):
                raise  # another process failed, not the write
            code = disk_failure(error)
            if code is not None:
                if jax.process_count() == 1:  # others may not know of the failure
                    with suppress(Exception):  # the disk may fail again
                        self._store.recover()
                raise DiskError(
                    f"a checkpoint could not be written to {self._directory}: "
                    f"{os.strerror(code)}. Earlier checkpoints are intact. "
                    f"{disk_remedy(code)}, and save again.",
                    code=code,
                ) from error
            raise CheckpointError(
                f"a checkpoint could not be written to {self._directory} "
                f"({_reason(error)}). Check the free space and the permissions."
            ) from error

    def _found(
        self, read: Callable[[int], tuple[T, Any]], step: int | None
    ) -> tuple[T, Any, int] | None:
        """Reads the given step, or the newest one that is intact; None without any."""
        self.wait()
        self._broken = []
        steps = self.steps()
        if step is not None:
            return self._read_exactly(step, read)
        reason = ""
        for candidate in reversed(steps):
            try:
                return (*read(candidate), candidate)
            except _Broken as broken:
                reason = str(broken)
                self._broken.append(candidate)
                self._warn(
                    f"checkpoint {candidate} in {self._directory} is broken "
                    f"({reason}); trying the next older one."
                )
        if not steps:
            return None
        raise CheckpointError(
            f"no checkpoint in {self._directory} can be read (the last one tried, "
            f"{steps[0]}: {reason}). Restore a backup, or use another folder."
        )

    def _read_exactly(
        self, step: int, read: Callable[[int], tuple[T, Any]]
    ) -> tuple[T, Any, int]:
        steps = self.steps()
        if step not in steps:
            listed = ", ".join(map(str, steps)) or "none"
            raise CheckpointError(
                f"{self._directory} has no checkpoint of step {step}; choices: "
                f"{listed}."
            )
        try:
            return (*read(step), step)
        except _Broken as broken:
            raise CheckpointError(
                f"checkpoint {step} in {self._directory} is broken ({broken}). Omit "
                "the step to restore the newest intact checkpoint."
            ) from broken

    def _read(self, step: int, target: StateT) -> tuple[StateT, dict[str, Any]]:
        wanted = flatten(as_target(target))
        inventory = _on_all_processes(lambda: self._read_inventory(step))
        difference = first_difference(inventory, wanted)
        if difference:
            raise CheckpointError(
                f"checkpoint {step} in {self._directory} does not match: {difference}. "
                "Use the config that it was written with, or another folder."
            )
        leaves = self._read_arrays(step, inventory, wanted)
        treedef = jax.tree.structure(target)
        state = jax.tree.unflatten(treedef, list(leaves.values()))
        return state, inventory["meta"]

    def _read_all(self, step: int, like: PyTree) -> tuple[dict[str, Array], int]:
        inventory = _on_all_processes(lambda: self._read_inventory(step))
        wanted = stored_as(inventory, flatten(as_target(like)))
        return self._read_arrays(step, inventory, wanted), inventory["crc32"]

    def _read_arrays(
        self,
        step: int,
        inventory: Mapping[str, Any],
        wanted: Mapping[str, jax.ShapeDtypeStruct],
    ) -> dict[str, Array]:
        leaves = _on_all_processes(lambda: self._store.read_arrays(step, wanted))
        # Checksums are of global arrays, so all processes take the same branch.
        for path, leaf in leaves.items():
            if crc32(leaf) != inventory["leaves"][path]["crc32"]:
                raise _Broken(f"{path} has changed since it was written")
        return leaves

    def _read_inventory(self, step: int) -> dict[str, Any]:
        inventory = self._store.read_inventory(step)
        if not is_intact(inventory):
            raise _Broken("its manifest has changed since it was written")
        return inventory


def _copy(path: str, leaf: Any) -> Array:
    if not isinstance(leaf, jax.Array):
        problem = (
            f"a {type(leaf).__name__}; convert it to an array, or store it in meta"
        )
    elif jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        problem = "a random key; store jax.random.key_data of it"
    else:
        return jnp.copy(leaf)
    raise CheckpointError(f"a state must contain only arrays, but {path} is {problem}.")


def _on_all_processes(read: Callable[[], T]) -> T:
    """Returns the result of ``read``; raises on all processes if one of them fails."""
    value, reason = None, ""
    with muted_failures():
        try:
            value = read()
        except Exception as error:  # see CheckpointBackend
            reason = _reason(error)
        if reason:
            collect_dropped_reads()
    multiprocess.barrier()
    if not np.all(multihost_utils.process_allgather(np.asarray(not reason))):
        raise _Broken(reason or "another process could not read it")
    return value  # type: ignore[return-value]


def _reason(error: Exception) -> str:
    if isinstance(error, _Broken):
        return str(error)
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0][:_REASON_LENGTH]}"
