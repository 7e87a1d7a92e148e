"""All that a run writes for people: metrics, pictures, progress."""

import math
import time
from types import TracebackType
from typing import Self

import jax
import ml_collections

from wgan_jax.data import Source
from wgan_jax.gan import Gan, GanState
from wgan_jax.images import save_png
from wgan_jax.program.pictures import draw
from wgan_jax.program.workdir import Workdir
from wgan_jax.sampling import sample
from wgan_jax.types import Metrics
from wgan_jax.writers import JsonLines, Progress, TensorBoard


class Diverged(Exception):
    """A metric is not a finite number any more."""


class Recorder:
    """Writes one run's records; on processes other than 0 it only checks.

    Attributes:
        latest: the last iteration's metrics, on the host.
    """

    def __init__(
        self,
        workdir: Workdir,
        config: ml_collections.ConfigDict,
        source: Source,
        *,
        start: int,
    ) -> None:
        """Opens the files, without what a run beyond ``start`` left in them.

        Args:
            workdir: where.
            config: for the intervals.
            source: real points are drawn beside generated ones.
            start: iterations already done.
        """
        self.latest: dict[str, float] = {}
        self._workdir, self._config, self._source = workdir, config, source
        self._key = jax.random.key(config.samples.seed)
        self._started, self._images = time.perf_counter(), 0
        self._writes = jax.process_index() == 0
        if self._writes:
            self._lines = JsonLines(workdir.metrics)
            self._lines.truncate_after(start)
            self._board = TensorBoard(workdir.tensorboard, purge_step=start + 1)
            self._progress = Progress(config.training.iterations, start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writes:
            self._progress.close()
            self._board.close()
            self._lines.close()

    def iteration(self, step: int, metrics: Metrics, images: int) -> None:
        """Takes in one iteration's metrics, waiting for them if need be.

        Args:
            step: iterations done, this one included.
            metrics: of the compiled step.
            images: real images that the critic saw in it.

        Raises:
            Diverged: naming the metrics that are not finite.
        """
        self.latest = {k: float(v) for k, v in jax.device_get(metrics).items()}
        broken = [k for k, v in self.latest.items() if not math.isfinite(v)]
        if broken:
            raise Diverged(
                f"iteration {step}: {', '.join(sorted(broken))} not finite; the run "
                "stops here, and its last checkpoint is from before."
            )
        if not self._writes:
            return
        self._progress.update(
            step,
            images=images,
            estimate=self.latest["critic/wasserstein_estimate"],
            gradient_norm=self.gradient_norm,
        )
        self._images += images
        if step % self._config.log.every == 0:
            now = time.perf_counter()
            rate = {
                "throughput/images_per_second": self._images / (now - self._started)
            }
            self._started, self._images = now, 0
            self._lines.write(step, self.latest | rate)
            self._board.scalars(step, self.latest | rate)

    @property
    def gradient_norm(self) -> float:
        """The critic's mean slope: at the penalty's points, else at the fakes."""
        at_fakes = self.latest["critic/gradient_norm_at_fakes"]
        return self.latest.get("critic/gradient_norm_mean", at_fakes)

    def samples(self, step: int, gan: Gan, state: GanState) -> None:
        """Draws the grids of fixed latents, from the average and the live weights.

        Args:
            step: iterations done.
            gan: the static parts.
            state: a run's arrays.
        """
        averaged = gan.ema_decay is not None
        drawn = {"": True, "_live": False} if averaged else {"": False}
        for suffix, use_ema in drawn.items():
            count = self._config.samples.count
            images = sample(gan, state, self._key, count, use_ema=use_ema)
            if not self._writes:
                continue
            picture = draw(jax.device_get(images), self._source)
            path = self._workdir.samples / f"step_{step:08d}{suffix}.png"
            save_png(path, picture)
            self._board.image(step, f"samples{suffix}", picture)
        self.event(f"Iteration {step}: samples in {self._workdir.samples}")

    def event(self, text: str) -> None:
        """One line for the person who watches."""
        if self._writes:
            self._progress.event(text)
