"""Checkpoints of a run in training: each is announced once it is complete."""

from collections.abc import Callable

import jax

from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.gan import GanState
from wgan_jax.program.disk import DiskWrites


class Saver:
    """Saves checkpoints in the background.

    Attributes:
        saved: iteration of the newest complete checkpoint; 0 without.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        writes: DiskWrites,
        *,
        start: int,
        tell: Callable[[int], object],
    ) -> None:
        """Stores the arguments.

        Args:
            checkpoints: checkpoints of the run.
            writes: attempts a save.
            start: iteration that the run starts from, which has a checkpoint unless
                it is 0.
            tell: called with the iteration of each checkpoint that is complete.
        """
        self.saved = start
        self._checkpoints, self._writes, self._tell = checkpoints, writes, tell
        self._pending: int | None = None

    def save(self, step: int, state: GanState) -> None:
        """Starts to save, after the previous save has ended.

        Args:
            step: number of completed iterations.
            state: state of a run or of replicas, which can be donated at once.

        Raises:
            DiskError: if this or the previous save failed, and the run stops.
        """
        self.settle()

        def save() -> None:
            self._checkpoints.save(step, state, {"iteration": step})
            self._pending = step

        self._writes.attempt(_title(step), save)

    def poll(self) -> None:
        """Tells of a save that has ended since the last call.

        Raises:
            DiskError: if it failed, and the run stops.
        """
        # Several processes must wait together, which they do at the next save.
        alone = jax.process_count() == 1
        if alone and self._pending is not None and not self._checkpoints.is_saving():
            self.settle()

    def settle(self) -> None:
        """Waits until everything is saved.

        Raises:
            DiskError: if it failed, and the run stops.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return

        def wait() -> int:
            self._checkpoints.wait()
            return pending

        if self._writes.attempt(_title(pending), wait) is not None:
            self.saved = pending
            self._tell(pending)

    def in_words(self, done: int) -> str:
        """Returns what a run whose last save failed has instead, as sentences.

        Args:
            done: number of completed iterations.
        """
        last = f"The last checkpoint is that of iteration {self.saved}"
        if not self.saved:
            last = "There is no checkpoint"
        return (
            f"{last}, because that of iteration {done} could not be written "
            f"({self._writes.reason}). The same command continues from there."
        )


def _title(step: int) -> str:
    return f"The checkpoint of iteration {step}"
