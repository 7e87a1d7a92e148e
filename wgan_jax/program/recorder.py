"""Records metrics, pictures and progress of a run."""

import math
import time
from collections.abc import Mapping

import numpy as np

from wgan_jax.errors import Diverged
from wgan_jax.gan import GanState
from wgan_jax.io.loggers import JsonLines, Progress, TensorBoard
from wgan_jax.parallel import multiprocess
from wgan_jax.program.previews import PreviewWriter, draw_previews
from wgan_jax.program.setup import Experiment
from wgan_jax.program.workdir import Workdir
from wgan_jax.report import GAPS
from wgan_jax.types import Metrics


class Recorder:
    """Writes one run's records; on processes other than 0 it only checks.

    Attributes:
        latest: the last iteration's metrics, on the host; with replicas their
            means.
    """

    def __init__(self, workdir: Workdir, experiment: Experiment, *, start: int) -> None:
        """Opens the files, without what a run beyond ``start`` left in them.

        Args:
            workdir: where.
            experiment: whose run.
            start: iterations already done.
        """
        self.latest: dict[str, float] = {}
        self._workdir, self._experiment = workdir, experiment
        self._config = config = experiment.config
        # Of the rate that is written next, and when metrics last came.
        self._started, self._images = time.perf_counter(), 0
        self._heard = self._started
        self._writes = multiprocess.is_primary()
        if self._writes:
            self._lines = JsonLines(workdir.metrics)
            self._lines.truncate_after(start)
            self._board = TensorBoard(workdir.tensorboard, purge_step=start + 1)
            self._previews = PreviewWriter(experiment, workdir.samples, self._board)
            self._progress = Progress(config.training.iterations, start)

    def close(self) -> None:
        """Writes what is waiting, and closes the files."""
        if not self._writes:
            return
        try:
            self._previews.wait()
        finally:
            self._previews.close()
            self._progress.close()
            self._board.close()
            self._lines.close()

    def iterations(self, done: int, metrics: Metrics, images: int) -> None:
        """Takes in the metrics of one call, waiting for them if need be.

        Args:
            done: iterations done, those of the call included.
            metrics: of the compiled step, ``[K]`` each if K iterations are a call.
            images: real images that the critic saw in each of them.

        Raises:
            Diverged: naming the first iteration with metrics that are not finite.
        """
        # jax.device_get does this, too, and takes twice the time to walk the tree.
        for value in metrics.values():
            value.copy_to_host_async()
        fetched = {name: np.asarray(value) for name, value in metrics.items()}
        rows = self._rows(fetched)
        now, before = time.perf_counter(), done - len(rows)
        for step, self.latest in enumerate(rows, before + 1):
            self._check(step, fetched)
            self._images += images
            if self._writes and step % self._config.log.every == 0:
                # They come together; each has taken an equal part of the time.
                part = (step - before) / len(rows)
                self._log(step, fetched, self._heard + part * (now - self._heard))
        self._heard = now
        if self._writes:
            self._progress.update(
                done,
                images=images * len(rows),
                gap=self.gap,
                gap_name=self.gap_name,
                gradient_norm=self.gradient_norm,
            )

    def _rows(self, fetched: dict[str, np.ndarray]) -> list[dict[str, float]]:
        """The metrics of each iteration of a call; of replicas the means."""
        if self._experiment.is_replicated:
            return [{name: float(value.mean()) for name, value in fetched.items()}]
        columns = [value.reshape(-1).tolist() for value in fetched.values()]
        return [
            dict(zip(fetched, row, strict=True)) for row in zip(*columns, strict=True)
        ]

    def _check(self, step: int, fetched: dict[str, np.ndarray]) -> None:
        broken = [k for k, v in self.latest.items() if not math.isfinite(v)]
        if broken:
            raise Diverged(
                f"iteration {step}: {', '.join(sorted(broken))} not finite"
                f"{self._whose(fetched)}; the run stops here; what checkpoints it has "
                "are from before."
            )

    def _log(self, step: int, fetched: dict[str, np.ndarray], now: float) -> None:
        rate = {"throughput/images_per_second": self._images / (now - self._started)}
        self._started, self._images = now, 0
        values = self.latest | self._spread(fetched) | rate
        self._lines.write(step, values)
        self._board.scalars(step, values)

    def evaluation(
        self, step: int, values: Mapping[str, float], seconds: float
    ) -> None:
        """Takes in what an evaluation found, and leaves its time out of all rates.

        Args:
            step: iterations done.
            values: numbers by path.
            seconds: that it took, since the last iteration that was taken in.
        """
        self._started += seconds
        self._heard += seconds
        if self._writes:
            self._progress.idle(seconds)
            self._board.scalars(step, values)

    @property
    def gap_name(self) -> str:
        """What the mean difference of scores is to this objective."""
        name = self._experiment.gan.objective.gap_name
        return GAPS.get(name, name)

    @property
    def gap(self) -> float:
        """Mean difference of the critic's scores of real and fake examples."""
        return self.latest[self._experiment.gan.objective.gap_name]

    @property
    def gradient_norm(self) -> float:
        """The critic's mean gradient norm, at the penalty's points or the fakes."""
        at_fakes = self.latest["critic/gradient_norm_at_fakes"]
        return self.latest.get("critic/gradient_norm_mean", at_fakes)

    def _whose(self, fetched: dict[str, np.ndarray]) -> str:
        """In which replica a metric is not finite."""
        if not self._experiment.is_replicated:
            return ""
        finite = np.all([np.isfinite(v) for v in fetched.values()], axis=0)
        return f" in replica {self._experiment.names[int(np.argmin(finite))]!r}"

    def _spread(self, fetched: dict[str, np.ndarray]) -> dict[str, float]:
        """Standard deviations over seeds; of a sweep, figures of each setting."""
        experiment, found = self._experiment, {}
        if not experiment.is_replicated:
            return {}
        field = self._config.sweep.field if self._config.sweep else None
        for setting in np.unique(experiment.settings):
            rows = experiment.settings == setting
            suffix = f"/{field}={setting:g}" if field else ""
            for name, values in fetched.items():
                if field:
                    found[f"{name}{suffix}"] = float(values[rows].mean())
                if rows.sum() > 1:
                    found[f"{name}{suffix}_std"] = float(values[rows].std(ddof=1))
        return found

    def samples(self, step: int, state: GanState) -> None:
        """Draws the grids of fixed latents; they are written beside what follows.

        Args:
            step: iterations done.
            state: a run's arrays; of replicas the pictures are laid side by side.

        Raises:
            OSError: those before could not be written.
        """
        drawn = draw_previews(self._experiment, state)
        if self._writes:
            self._previews.write(step, drawn)
            self.event(f"Iteration {step}: samples in {self._workdir.samples}")

    def event(self, text: str) -> None:
        """One line for the person who watches."""
        if self._writes:
            self._progress.event(text)
