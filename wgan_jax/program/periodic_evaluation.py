"""Evaluation during training, and the best checkpoint."""

import json
from typing import Any

import numpy as np

from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.evaluation import Evaluator
from wgan_jax.gan import GanState
from wgan_jax.io.json_text import read_lines
from wgan_jax.io.loggers import JsonLines, Stages
from wgan_jax.metrics import Result, to_json
from wgan_jax.parallel import multiprocess
from wgan_jax.program.console import Log, is_quiet, warn, warner
from wgan_jax.program.interruption import Interruption
from wgan_jax.program.scoring import Examined, draw_pictures, examine
from wgan_jax.program.setup import Experiment
from wgan_jax.program.workdir import Workdir


class _Interrupted(Exception):
    """A signal arrived during an evaluation."""


class _Watched(Stages):
    """Stages that raise ``_Interrupted`` after a signal."""

    def __init__(self, interruption: Interruption, *, quiet: bool, shows: bool) -> None:
        super().__init__(quiet=quiet)
        self._interruption, self._shows = interruption, shows

    def update(self, part: str, done: int, total: int) -> None:
        if self._interruption.due():
            raise _Interrupted
        if self._shows:
            super().update(part, done, total)

    def agree(self) -> None:
        """Raises ``_Interrupted`` on all processes if the primary has seen a signal."""
        if self._interruption.agree():
            raise _Interrupted


class Evaluations:
    """Evaluates a run at intervals and keeps the best state.

    The best checkpoint has its own folder. Among the latest checkpoints, it
    would make a resumed run restart from it and lose the later iterations.
    """

    def __init__(
        self,
        workdir: Workdir,
        experiment: Experiment,
        evaluator: Evaluator,
        *,
        start: int,
        interruption: Interruption,
        log: Log,
    ) -> None:
        """Opens the records and removes those of iterations after ``start``.

        Args:
            workdir: folder of the run.
            experiment: experiment of the run.
            evaluator: evaluator of its config.
            start: number of iterations already completed.
            interruption: ends an evaluation early after a signal.
            log: function that prints one line.
        """
        self._workdir, self._experiment = workdir, experiment
        self._evaluator, self._say = evaluator, log
        self._interruption = interruption
        fields = experiment.config.evaluation
        assert fields is not None
        self._fields, self._best_by = fields, fields.best_by
        self._writes = multiprocess.is_primary()
        self._steps: set[int] = set()
        if self._writes:
            self._lines = JsonLines(workdir.evaluations)
            self._lines.truncate_after(start)
            self._steps = set(_steps_in(workdir))
        self._best = None
        if self._best_by is not None:
            self._best = Checkpoints(workdir.best, keep=1, warn=warner(log))

    def close(self) -> None:
        """Waits for pending writes and closes the records."""
        if self._writes:
            self._lines.close()
        if self._best is not None:
            self._best.close()

    def due(self, step: int) -> bool:
        """Returns whether an iteration is to be evaluated and has not been yet."""
        last = step == self._experiment.config.training.iterations
        if step == 0 or (step % self._fields.every and not last):
            return False
        return not multiprocess.broadcast_from_primary(float(step in self._steps))

    def run(self, step: int, state: GanState) -> dict[str, float]:
        """Evaluates a state, writes the results, and keeps it if it is the best.

        If the evaluation fails or is interrupted by a signal, a message is
        logged, no record is written, and the run continues.

        Args:
            step: number of completed iterations.
            state: state of a run or of replicas.

        Returns:
            The results by path, such as ``evaluation/ema/recall``; empty on
            processes other than the primary one.
        """
        stages = _Watched(
            self._interruption, quiet=is_quiet(self._say), shows=self._writes
        )
        found: list[Examined] = []
        try:
            walk = examine(
                self._experiment,
                self._evaluator,
                state,
                stages=stages,
                agree=stages.agree,
            )
            found = list(walk)
        except _Interrupted:
            warn(
                self._say,
                f"Iteration {step}: evaluation interrupted; it is repeated when the "
                "run resumes.",
            )
        except ValueError as error:
            warn(self._say, f"Iteration {step}: evaluation failed: {error}")
        finally:
            stages.close()
        if not multiprocess.broadcast_from_primary(float(bool(found))):
            return {}
        pictures = self._workdir.samples
        draw_pictures(self._experiment, state, found[0].comparison, pictures)
        if self._writes:
            self._say(f"Iteration {step}: {summary(found, self._best_by)}")
        self._keep_if_best(step, state, found)
        # Written last: an interrupted evaluation has no record and is repeated.
        if self._writes:
            self._lines.write(step, *map(record, found))
            self._steps.add(step)
        return {
            "/".join(filter(None, ("evaluation", e.run, e.weights, name))): value
            for e in found
            for name, value in ((r.protocol.metric, r.value) for r in e.results)
        }

    def _keep_if_best(self, step: int, state: GanState, found: list[Examined]) -> None:
        if self._best is None:
            return
        score, protocol = self._score(found)
        newest = max(self._best.steps(), default=None)
        meta = None if newest is None else self._best.meta(newest)
        if newest is not None and meta is None:
            warn(
                self._say,
                f"Iteration {step}: the best checkpoint, {newest}, is broken and will "
                "be replaced.",
            )
        better = True
        # Scores of different protocols are not comparable.
        if meta is not None and meta.get("protocol") == protocol:
            sign = 1 if self._evaluator.reports[self._best_by or ""] == "lower" else -1
            better = sign * score < sign * meta["score"]
        if not multiprocess.broadcast_from_primary(float(better)):
            return
        if newest is not None and newest >= step:
            self._best.discard(newest)  # saved before a crash that lost iterations
        kept = {"iteration": step, "score": score, "protocol": protocol}
        self._best.save(step, state, kept)
        self._best.wait()  # the record must not exist before the checkpoint
        if self._writes:
            self._say(
                f"Iteration {step}: best checkpoint so far, in {self._workdir.best}"
            )

    def _score(self, found: list[Examined]) -> tuple[float, Any]:
        """Returns the first weights' mean score over replicas, and its protocol."""
        chosen = _leading(found, self._best_by or "")
        if not chosen:  # only the primary process has results
            return multiprocess.broadcast_from_primary(0.0), None
        score = multiprocess.broadcast_from_primary(
            float(np.mean([result.value for result in chosen]))
        )
        return score, _plain(chosen[0])["protocol"]


def record(examined: Examined) -> dict[str, Any]:
    """Returns the record of one set of weights in ``evaluations.jsonl``.

    Args:
        examined: evaluated weights.

    Returns:
        JSON values: ``run``, ``weights``, ``standing_batches`` if there are any,
        ``seconds`` and ``results``, where each result includes its protocol.
    """
    batches = examined.standing_batches
    standing = {"standing_batches": batches} if batches else {}
    return {
        "run": examined.run,
        "weights": examined.weights,
        **standing,
        "seconds": round(examined.seconds, 1),
        "results": [_plain(result) for result in examined.results],
    }


def summary(found: list[Examined], leading: str | None) -> str:
    """Returns one metric as a sentence.

    Args:
        found: evaluated weights of all runs.
        leading: name of the metric. Defaults to the first one.

    Returns:
        A text such as ``frechet_distance 12.3 (pixels, 1500 examples), ema
        weights, in 4 s.``; for replicas, with their mean.
    """
    first = found[0]
    results = _leading(found, leading or first.results[0].protocol.metric)
    protocol = results[0].protocol
    mean = np.mean([result.value for result in results])
    over = f", mean of {len(results)} runs" if len(results) > 1 else ""
    return (
        f"{protocol.metric} {mean:.4g} ({protocol.features}, {protocol.fake_count} "
        f"examples{over}), {first.weights} weights, in "
        f"{sum(examined.seconds for examined in found):.0f} s."
    )


def _leading(found: list[Examined], metric: str) -> list[Result]:
    """Returns a metric of the first weights of each run."""
    return [
        result
        for examined in found
        for result in examined.results
        if examined.weights == found[0].weights and result.protocol.metric == metric
    ]


def _plain(result: Result) -> dict[str, Any]:
    return json.loads(to_json(result))


def _steps_in(workdir: Workdir) -> list[int]:
    """Returns the iterations that were evaluated during training."""
    lines = read_lines(workdir.evaluations)
    return [line["step"] for line in lines if line.get("by") != "evaluate"]
