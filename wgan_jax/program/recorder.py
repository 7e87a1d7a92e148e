"""Recording of the metrics, pictures and progress of a run."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np

from wgan_jax.config.experiment import as_json
from wgan_jax.errors import DiskError, Diverged
from wgan_jax.gan import GanState
from wgan_jax.io.callbacks import Callbacks, RunInfo
from wgan_jax.io.loggers import JsonLines, Progress, TensorBoard
from wgan_jax.io.services import find_callback
from wgan_jax.parallel import multiprocess
from wgan_jax.program.console import NORMAL, QUIET, Console
from wgan_jax.program.disk import DiskWrites
from wgan_jax.program.heartbeat import TRAINING, Heartbeat
from wgan_jax.program.live_report import LiveReport
from wgan_jax.program.pictures import are_drawable
from wgan_jax.program.previews import PreviewWriter, draw_previews
from wgan_jax.program.setup import Experiment
from wgan_jax.program.terms import first_bad_term
from wgan_jax.program.watching import Watch
from wgan_jax.program.workdir import Workdir
from wgan_jax.report import GAPS
from wgan_jax.types import Metrics

T = TypeVar("T")


class _Above(Console):
    """Prints above the progress of a run."""

    def __init__(self, level: str, write: Callable[[str], object]) -> None:
        super().__init__(level)
        self._write = write

    def result(self, line: str) -> None:
        self._write(line)

    warn = result


class Recorder:
    """Writes the records of a run; other processes than the primary only check.

    Attributes:
        latest: metrics of the last iteration, on the host. With replicas, their
            means.
        disk: attempts the writes of the run.
        console: prints above the progress.
    """

    def __init__(
        self,
        workdir: Workdir,
        experiment: Experiment,
        *,
        start: int,
        quiet: bool = False,
    ) -> None:
        """Opens the files and removes records of iterations after ``start``.

        Args:
            workdir: folder of the run.
            experiment: experiment of the run.
            start: number of iterations already completed.
            quiet: print warnings only.
        """
        self.latest: dict[str, float] = {}
        self._workdir, self._experiment = workdir, experiment
        self._config = config = experiment.config
        # Start and images of the current throughput interval.
        self._began = time.perf_counter()
        self._started, self._images = self._began, 0
        self._heard = self._started  # when metrics last arrived
        self._writes = multiprocess.is_primary()
        self.console = _Above(QUIET, lambda _: None)
        self.disk = DiskWrites(
            tolerant=config.checkpoint.on_failure == "continue",
            warn=lambda line: self.console.warn(line),
        )
        if self._writes:
            self._lines = JsonLines(workdir.metrics)
            self._lines.truncate_after(start)
            self._board = TensorBoard(workdir.tensorboard, purge_step=start + 1)
            self._previews = PreviewWriter(experiment, workdir.samples, self._board)
            self._progress = Progress(config.training.iterations, start, quiet=quiet)
            self.console = _Above(QUIET if quiet else NORMAL, self._progress.warn)
            self._heartbeat = Heartbeat(workdir.heartbeat)
            warned = self._heartbeat.read().get("warnings", []) if start else []
            self._watch = Watch(
                config,
                experiment.source,
                gap_name=experiment.gan.gap_name,
                bounded=experiment.gan.bounds_gradient,
                warn=self.console.warn,
                found=warned,
            )
            self._heartbeat.warned(warned)
            self._beat(TRAINING, start)
            self._report = LiveReport(
                workdir, minutes=config.log.report_minutes, log=self.console.warn
            )
            run = RunInfo(
                name=workdir.path.name,
                folder=workdir.path,
                config=as_json(config),
                start=start,
            )
            makers = {name: find_callback(name) for name in config.log.callbacks}
            self._callbacks = Callbacks(makers, run, tell=self.event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close(value)
        except (OSError, DiskError) as error:
            if value is None:
                raise
            # The first error is the one to report.
            self.console.warn(f"In addition: {error}")

    def close(self, error: BaseException | None = None) -> None:
        """Waits for pending writes and closes the files.

        Args:
            error: what ended the run, if that was an error.

        Raises:
            OSError: if the last pictures or records could not be written.
            DiskError: if this is because of the disk, and the run stops for it.
        """
        if not self._writes:
            return
        if error is not None:
            self._heartbeat.fail(error)
        samples, board = self._workdir.samples, self._workdir.tensorboard
        with ExitStack() as stack:  # calls all in reverse, also after an error
            stack.callback(self._lines.close)
            stack.callback(self._attempt, board, self._board.close)
            stack.callback(self._progress.close)
            stack.callback(self._previews.close)
            stack.callback(self._callbacks.close)
            stack.callback(self._attempt, self._workdir.heartbeat, self._heartbeat.end)
            stack.callback(self._attempt, samples, self._wait_for_samples)
            self._report.close()

    def _attempt(self, path: Path, write: Callable[[], T]) -> T | None:
        """Attempts a write to a file or a folder of the run."""
        return self.disk.attempt(str(path), write)

    def _beat(self, stage: str, step: int) -> None:
        path = self._workdir.heartbeat
        self._attempt(path, lambda: self._heartbeat.beat(stage, step))

    def iterations(self, done: int, metrics: Metrics, images: int) -> None:
        """Records the metrics of one call, after waiting for them if necessary.

        Args:
            done: number of completed iterations, including those of the call.
            metrics: metrics of the compiled step; ``[K]`` each if a call has K
                iterations.
            images: real images used by the critic in each iteration.

        Raises:
            Diverged: if a metric is not finite. The message names the first such
                iteration.
        """
        # jax.device_get does the same, but needs twice the time to walk the tree.
        for value in metrics.values():
            value.copy_to_host_async()
        fetched = {name: np.asarray(value) for name, value in metrics.items()}
        rows = self._rows(fetched)
        now, before = time.perf_counter(), done - len(rows)
        for step, self.latest in enumerate(rows, before + 1):
            self._check(step, fetched)
            self._images += images
            last = step == self._config.training.iterations
            if self._writes and (last or step % self._config.log.every == 0):
                # The metrics of a call arrive together, so its time is split equally.
                part = (step - before) / len(rows)
                self._log(step, fetched, self._heard + part * (now - self._heard))
        self._heard = now
        if self._writes:
            self._beat(TRAINING, done)
            self._report.update()
            self._progress.update(
                done,
                images=images * len(rows),
                gap=self.gap,
                gap_name=self.gap_name,
                gradient_norm=self.gradient_norm,
            )

    def _rows(self, fetched: dict[str, np.ndarray]) -> list[dict[str, float]]:
        """Returns the metrics of each iteration of a call, averaged over replicas."""
        if self._experiment.is_replicated:
            return [{name: float(value.mean()) for name, value in fetched.items()}]
        columns = [value.reshape(-1).tolist() for value in fetched.values()]
        return [
            dict(zip(fetched, row, strict=True)) for row in zip(*columns, strict=True)
        ]

    def _check(self, step: int, fetched: dict[str, np.ndarray]) -> None:
        broken = [k for k, v in self.latest.items() if not math.isfinite(v)]
        if broken:
            fork = (
                " To go on from one of them with other settings, use "
                f"--fork={self._workdir.path} --checkpoint=ITERATION and another "
                "--workdir."
            )
            raise Diverged(
                f"iteration {step}: {', '.join(sorted(broken))} not "
                f"finite{self._whose(fetched)}. Training has stopped; all checkpoints "
                "are from earlier iterations."
                + (fork if self._workdir.has_checkpoint() else "")
                + f" The first bad term is {first_bad_term(self.latest, self._config)};"
                f" train --workdir={self._workdir.path} --debug-nans names its "
                "operation."
            )

    def _log(self, step: int, fetched: dict[str, np.ndarray], now: float) -> None:
        rate = {"throughput/images_per_second": self._images / (now - self._started)}
        self._started, self._images = now, 0
        values = self.latest | self._spread(fetched) | rate
        clock = {
            "time/utc": round(time.time(), 3),
            "time/seconds": round(now - self._began, 3),
        }
        lines, board = self._workdir.metrics, self._workdir.tensorboard
        self._attempt(lines, lambda: self._lines.write(step, values | clock))
        self._attempt(board, lambda: self._board.scalars(step, values))
        self._callbacks.on_step(step, values)
        self._watch.metrics(step, self.latest)
        self._heartbeat.warned(self._watch.found)

    def evaluation(
        self, step: int, values: Mapping[str, float], seconds: float
    ) -> None:
        """Records the results of an evaluation and excludes its time from rates.

        Args:
            step: number of completed iterations.
            values: results by path.
            seconds: duration of the evaluation.
        """
        self._started += seconds
        self._heard += seconds
        if self._writes:
            self._progress.idle(seconds)
            board = self._workdir.tensorboard
            self._attempt(board, lambda: self._board.scalars(step, values))
            self._callbacks.on_evaluation(step, values)

    @property
    def gap_name(self) -> str:
        """Display name of the objective's mean difference of scores."""
        name = self._experiment.gan.gap_name
        return GAPS.get(name, name)

    @property
    def gap(self) -> float:
        """Mean difference of the critic's scores of real and generated examples."""
        return self.latest[self._experiment.gan.gap_name]

    @property
    def gradient_norm(self) -> float:
        """Mean gradient norm of the critic, at the penalty's points if available."""
        at_fakes = self.latest["critic/gradient_norm_at_fakes"]
        return self.latest.get("critic/gradient_norm_mean", at_fakes)

    def _whose(self, fetched: dict[str, np.ndarray]) -> str:
        """Returns the name of the replica with a metric that is not finite."""
        if not self._experiment.is_replicated:
            return ""
        finite = np.all([np.isfinite(v) for v in fetched.values()], axis=0)
        return f" in replica {self._experiment.names[int(np.argmin(finite))]!r}"

    def _spread(self, fetched: dict[str, np.ndarray]) -> dict[str, float]:
        """Returns standard deviations over seeds, and means per setting of a sweep."""
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
        """Draws samples from the fixed latents and writes them in the background.

        Samples that cannot be drawn as a picture are only watched for a collapse.

        Args:
            step: number of completed iterations.
            state: state of a run or of replicas, whose pictures are tiled.

        Raises:
            DiskError: if the previous pictures could not be written, and the run
                stops.
        """
        drawn = draw_previews(self._experiment, state)
        self.settle_samples()
        if self._writes:
            if are_drawable(self._experiment.source.example_shape):
                self._previews.write(step, drawn)
                self.event(f"Iteration {step}: samples in {self._workdir.samples}")
            for images in drawn.get("_live", drawn[""]):
                self._watch.samples(step, images)
            self._heartbeat.warned(self._watch.found)

    def settle_samples(self) -> None:
        """Waits until the pictures of the last samples are written.

        Raises:
            DiskError: if they could not be written, and the run stops.
        """
        if self._writes:
            self._attempt(self._workdir.samples, self._wait_for_samples)

    def _wait_for_samples(self) -> None:
        written = self._previews.wait()
        if written is not None:
            self._callbacks.on_samples(*written)

    def checkpoint(self, step: int) -> None:
        """Tells that a checkpoint has been saved.

        Args:
            step: number of completed iterations.
        """
        if self._writes:
            self.event(f"Iteration {step}: checkpoint saved.")
            self._callbacks.on_checkpoint(step, self._workdir.checkpoints / f"{step}")

    def stage(self, stage: str, step: int) -> None:
        """Tells what the run does from now on.

        Args:
            stage: a stage of ``Heartbeat``.
            step: number of completed iterations.
        """
        if self._writes:
            self._beat(stage, step)

    def event(self, text: str) -> None:
        """Prints one line of progress."""
        self.console(text)
