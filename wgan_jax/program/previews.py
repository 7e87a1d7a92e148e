"""Sample grids from fixed latents during training."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from wgan_jax.gan import GanState
from wgan_jax.io.images import save_png
from wgan_jax.io.loggers import TensorBoard
from wgan_jax.program.pictures import draw, tile
from wgan_jax.program.setup import Experiment
from wgan_jax.sampling import sample


def draw_previews(
    experiment: Experiment, state: GanState
) -> dict[str, list[np.ndarray]]:
    """What the average and the live weights make of a run's fixed latents.

    All processes call it together.

    Args:
        experiment: whose run.
        state: its arrays, or those of replicas.

    Returns:
        Images ``[count, ...]`` of each replica by the weights' suffix in the names
        of files: empty for the leading ones, ``_live`` for the live ones beside an
        average.
    """
    fields = experiment.config.samples
    key = jax.random.key(fields.seed)
    averaged = experiment.gan.ema_decay is not None
    drawn = {"": True, "_live": False} if averaged else {"": False}
    return {
        suffix: [
            jax.device_get(
                sample(
                    gan,
                    arrays,
                    key,
                    fields.count,
                    use_ema=use_ema,
                    labels=fields.label,
                )
            )
            for _, gan, arrays in experiment.runs(state)
        ]
        for suffix, use_ema in drawn.items()
    }


class PreviewWriter:
    """Encodes and writes grids in a thread, beside the next iterations."""

    def __init__(
        self, experiment: Experiment, folder: Path, board: TensorBoard
    ) -> None:
        """Starts nothing yet.

        Args:
            experiment: says what an example looks like.
            folder: of the files.
            board: gets the pictures, too.
        """
        self._experiment, self._folder, self._board = experiment, folder, board
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="previews")
        self._pending: Future[None] | None = None

    def write(self, step: int, drawn: dict[str, list[np.ndarray]]) -> None:
        """Begins to write the grids of an iteration, once the last ones are written.

        Args:
            step: iterations done.
            drawn: what ``draw_previews`` returned.

        Raises:
            OSError: the last ones could not be written.
        """
        self.wait()
        self._pending = self._thread.submit(self._write, step, drawn)

    def wait(self) -> None:
        """Returns when all grids are written.

        Raises:
            OSError: the last ones could not be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Ends the thread after what it has begun."""
        self._thread.shutdown()

    def _write(self, step: int, drawn: dict[str, list[np.ndarray]]) -> None:
        for suffix, images in drawn.items():
            picture = tile([draw(i, self._experiment.source) for i in images])
            save_png(self._folder / f"step_{step:08d}{suffix}.png", picture)
            self._board.image(step, f"samples{suffix}", picture)
