"""Thin wrapper around Orbax's ``CheckpointManager``: arrays and one JSON file."""

import contextlib
import gc
import logging
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from wgan_jax.io.disks import check_writable
from wgan_jax.parallel import multiprocess
from wgan_jax.types import Array

_ARRAYS, _INVENTORY = "state", "inventory"
_UNFINISHED = f"*{ocp.utils.TMP_DIR_SUFFIX}*"
_DROPPED_SECONDS = 0.1  # longer than a read of one file takes


class CheckpointBackend:
    """Checkpoints in numbered folders ``<step>/`` of a directory.

    All processes must make every call. A folder gets its name only when it is
    complete, so a killed process leaves no partial checkpoint. Orbax has no
    common base class for its exceptions, and damaged files raise whatever
    exception the parser raises. Callers of ``write``, ``wait`` and ``read_*``
    must therefore handle any ``Exception``.
    """

    def __init__(self, directory: Path, *, keep: int, read_only: bool) -> None:
        """Opens a directory and removes the remains of an interrupted write.

        Args:
            directory: absolute path; created if missing.
            keep: number of folders to keep, those with the largest steps.
            read_only: do not create or remove anything.
        """
        self._directory = directory
        if not read_only:
            _remove_unfinished(directory)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(keep),
            create=not read_only,
            # Otherwise, opening reads the metadata of each step and raises if it is
            # damaged.
            lightweight_initialize=True,
        )
        self._manager = ocp.CheckpointManager(directory, options=options)

    def steps(self) -> list[int]:
        """Returns the steps in ascending order, including one being written."""
        return sorted(self._manager.all_steps())

    def write(
        self, step: int, arrays: Mapping[str, Array], inventory: Mapping[str, Any]
    ) -> bool:
        """Starts to write a folder; arrays must not change until ``wait`` returns.

        Args:
            step: larger than all existing steps.
            arrays: arrays by name.
            inventory: a JSON object.

        Returns:
            Whether Orbax accepted the step.
        """
        if jax.process_index() == 0:
            # Orbax would create a missing folder anew, and its threads would wait
            # forever for one that cannot be created.
            check_writable(self._directory)
        # Orbax rejects empty arrays, which are determined by their shape.
        stored = {name: array for name, array in arrays.items() if array.size}
        arguments = {
            _ARRAYS: ocp.args.StandardSave(stored),
            _INVENTORY: ocp.args.JsonSave(inventory),
        }
        return self._manager.save(step, args=ocp.args.Composite(**arguments))

    def read_inventory(self, step: int) -> dict[str, Any]:
        """Reads the JSON object of a folder."""
        arguments = {_INVENTORY: ocp.args.JsonRestore()}
        composite = ocp.args.Composite(**arguments)
        return self._manager.restore(step, args=composite)[_INVENTORY]

    def read_arrays(
        self, step: int, wanted: Mapping[str, jax.ShapeDtypeStruct]
    ) -> dict[str, Array]:
        """Reads the arrays of a folder.

        Args:
            step: step of the folder.
            wanted: shapes, dtypes and shardings of all of its arrays.

        Returns:
            Arrays in the order of ``wanted``. An array with another stored
            dtype is cast.
        """
        stored = {name: array for name, array in wanted.items() if array.size}
        arguments = {_ARRAYS: ocp.args.StandardRestore(stored)}
        composite = ocp.args.Composite(**arguments)
        found = self._manager.restore(step, args=composite)[_ARRAYS]
        return {
            name: found[name]
            if array.size
            else jnp.empty(array.shape, array.dtype, device=array.sharding)
            for name, array in wanted.items()
        }

    def set_aside(self, steps: Iterable[int]) -> None:
        """Renames folders to ``<step>.broken``, replacing existing ones."""
        if jax.process_index() == 0:
            for step in steps:
                folder = self._directory / str(step)
                aside = folder.with_name(f"{step}.broken")
                if aside.exists():
                    shutil.rmtree(aside)
                if folder.exists():
                    folder.rename(aside)
        multiprocess.barrier()
        self._manager.reload()

    def remove(self, step: int) -> None:
        """Deletes a folder."""
        self._manager.delete(step)

    def wait(self) -> None:
        """Waits until everything is on disk."""
        self._manager.wait_until_finished()

    def is_writing(self) -> bool:
        """Returns whether a folder is being written in the background."""
        return self._manager.is_saving_in_progress()

    def recover(self) -> None:
        """Removes the remains of a failed write, and reads which steps exist.

        Only for a single process.
        """
        for folder in self._directory.glob(_UNFINISHED):
            shutil.rmtree(folder, ignore_errors=True)
        if self._directory.is_dir():
            self._manager.reload()

    def close(self) -> None:
        """Closes the directory; further calls have no effect."""
        self._manager.close()


@contextlib.contextmanager
def muted_failures() -> Iterator[None]:
    """Suppresses messages that result from a failed read.

    When a read fails, Orbax abandons all others, and Python would print a
    warning for each when it is garbage-collected. Call
    ``collect_dropped_reads`` inside this context, after handling the failure.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    asyncio_log = logging.getLogger("asyncio")
    disabled, asyncio_log.disabled = asyncio_log.disabled, True
    try:
        yield
    finally:
        sys.unraisablehook, asyncio_log.disabled = hook, disabled


def collect_dropped_reads() -> None:
    """Waits briefly for abandoned reads and garbage-collects them."""
    time.sleep(_DROPPED_SECONDS)
    gc.collect()


def _remove_unfinished(directory: Path) -> None:
    # Orbax would do this in a thread, which fails if the program ends earlier.
    if jax.process_index() == 0:
        for folder in directory.glob(_UNFINISHED):
            shutil.rmtree(folder)
    multiprocess.barrier()
