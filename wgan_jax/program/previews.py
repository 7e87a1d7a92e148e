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
    """Draws samples from the fixed latents of a run, with its EMA and live weights.

    All processes must call this function together.

    Args:
        experiment: experiment of the run.
        state: state of a run or of replicas.

    Returns:
        Images ``[count, ...]`` of each replica, by the suffix of the file name.
        The suffix is empty for the EMA weights, or for the live weights of a
        run without EMA. It is ``_live`` for the live weights of a run with EMA.
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


Written = tuple[int, list[Path]]  # an iteration and its files


class PreviewWriter:
    """Encodes and writes grids in a background thread."""

    def __init__(
        self, experiment: Experiment, folder: Path, board: TensorBoard
    ) -> None:
        """Creates the writer; the thread starts with the first picture.

        Args:
            experiment: experiment of the run.
            folder: folder of the files.
            board: TensorBoard log, which also receives the pictures.
        """
        self._experiment, self._folder, self._board = experiment, folder, board
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="previews")
        self._pending: Future[Written] | None = None

    def write(self, step: int, drawn: dict[str, list[np.ndarray]]) -> Written | None:
        """Starts writing the grids of an iteration after the previous ones.

        Args:
            step: number of completed iterations.
            drawn: result of ``draw_previews``.

        Returns:
            As ``wait``, of the previous ones.

        Raises:
            OSError: if the previous grids could not be written.
        """
        before = self.wait()
        self._pending = self._thread.submit(self._write, step, drawn)
        return before

    def wait(self) -> Written | None:
        """Waits until all grids are written.

        Returns:
            The iteration and the files of the last ``write``, once; or None.

        Raises:
            OSError: if the last grids could not be written.
        """
        pending, self._pending = self._pending, None
        return None if pending is None else pending.result()

    def close(self) -> None:
        """Waits for the thread and ends it."""
        self._thread.shutdown()

    def _write(self, step: int, drawn: dict[str, list[np.ndarray]]) -> Written:
        paths = []
        for suffix, images in drawn.items():
            picture = tile([draw(i, self._experiment.source) for i in images])
            paths.append(self._folder / f"step_{step:08d}{suffix}.png")
            save_png(paths[-1], picture)
            self._board.image(step, f"samples{suffix}", picture)
        return step, paths
