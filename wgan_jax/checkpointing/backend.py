"""Thin wrapper around Orbax: numbered checkpoints of arrays and one JSON file."""

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

from wgan_jax.parallel import multiprocess
from wgan_jax.types import Array

_ARRAYS, _INVENTORY = "state", "inventory"
_DROPPED_SECONDS = 0.1  # one file's read is long over by then


class CheckpointBackend:
    """Folders ``<step>/`` in a directory.

    All processes make every call together. A folder appears under its name
    only when complete, so a killed process leaves no half of one. Orbax has no
    base class for what it raises, and broken files raise whatever the parser
    at hand does: callers of ``write``, ``wait`` and ``read_*`` meet any
    ``Exception``.
    """

    def __init__(self, directory: Path, *, keep: int, read_only: bool) -> None:
        """Opens a directory and removes what an interrupted write left there.

        Args:
            directory: absolute; made if it is not there.
            keep: folders that stay, those of the greatest steps.
            read_only: make and remove nothing.
        """
        self._directory = directory
        if not read_only:
            _remove_unfinished(directory)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=ocp.checkpoint_managers.LatestN(keep),
            create=not read_only,
            # Otherwise opening reads each step's metadata, and raises if broken.
            lightweight_initialize=True,
        )
        self._manager = ocp.CheckpointManager(directory, options=options)

    def steps(self) -> list[int]:
        """Ascending; the one being written is among them."""
        return sorted(self._manager.all_steps())

    def write(
        self, step: int, arrays: Mapping[str, Array], inventory: Mapping[str, Any]
    ) -> bool:
        """Starts to write a folder; arrays must stay as they are until ``wait``.

        Args:
            step: above all others here.
            arrays: by name.
            inventory: a JSON object.

        Returns:
            Whether Orbax accepted the step.
        """
        # Orbax refuses arrays without elements; their shape says all of them.
        stored = {name: array for name, array in arrays.items() if array.size}
        arguments = {
            _ARRAYS: ocp.args.StandardSave(stored),
            _INVENTORY: ocp.args.JsonSave(inventory),
        }
        return self._manager.save(step, args=ocp.args.Composite(**arguments))

    def read_inventory(self, step: int) -> dict[str, Any]:
        """The JSON object of a folder."""
        arguments = {_INVENTORY: ocp.args.JsonRestore()}
        composite = ocp.args.Composite(**arguments)
        return self._manager.restore(step, args=composite)[_INVENTORY]

    def read_arrays(
        self, step: int, wanted: Mapping[str, jax.ShapeDtypeStruct]
    ) -> dict[str, Array]:
        """The arrays of a folder.

        Args:
            step: of the folder.
            wanted: all of its arrays: their shapes, dtypes and placings.

        Returns:
            Arrays in the order of ``wanted``. One of another dtype was cast.
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
        """Renames folders to ``<step>.broken``, in place of any such one."""
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
        """Returns when all is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Lets go of the directory; a second call does nothing."""
        self._manager.close()


@contextlib.contextmanager
def muted_failures() -> Iterator[None]:
    """Keeps what a failed read leaves behind off the user's screen.

    Beside a read that failed Orbax drops all others unfinished, and Python
    would report each on a page of its own once it is collected: call
    ``collect_dropped_reads`` inside, after the failure is handled.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    asyncio_log = logging.getLogger("asyncio")
    disabled, asyncio_log.disabled = asyncio_log.disabled, True
    try:
        yield
    finally:
        sys.unraisablehook, asyncio_log.disabled = hook, disabled


def collect_dropped_reads() -> None:
    """Waits a moment for reads that nobody awaits, and frees them."""
    time.sleep(_DROPPED_SECONDS)
    gc.collect()


def _remove_unfinished(directory: Path) -> None:
    # Orbax would do so in a thread, which fails if the program ends before it.
    if jax.process_index() == 0:
        for folder in directory.glob(f"*{ocp.utils.TMP_DIR_SUFFIX}*"):
            shutil.rmtree(folder)
    multiprocess.barrier()
