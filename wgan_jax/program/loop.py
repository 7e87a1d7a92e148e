"""The training loop: calls of the compiled step, and what is written between them."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wgan_jax.data import prefetch
from wgan_jax.gan import GanState
from wgan_jax.program.gallery import draw_missing
from wgan_jax.program.heartbeat import DONE, EVALUATION, INTERRUPTED
from wgan_jax.program.interruption import Interruption
from wgan_jax.program.periodic_evaluation import Evaluations
from wgan_jax.program.profile import Profile
from wgan_jax.program.recorder import Recorder
from wgan_jax.program.saving import Saver
from wgan_jax.program.setup import Experiment


def run_iterations(
    experiment: Experiment,
    state: GanState,
    start: int,
    steps: Mapping[int, Any],
    *,
    recorder: Recorder,
    saver: Saver,
    evaluations: Evaluations | None,
    interruption: Interruption,
    profiled: Profile,
    samples: Path,
) -> int:
    """Runs the remaining iterations, or those until an interruption.

    Args:
        experiment: experiment of the run.
        state: state after ``start`` iterations; its buffers are reused.
        start: number of completed iterations.
        steps: compiled steps, by the number of iterations of one call.
        recorder: writes metrics and samples.
        saver: saves checkpoints.
        evaluations: evaluates the generator from time to time, or None.
        interruption: tells whether a signal has arrived.
        profiled: traces some iterations.
        samples: folder of the pictures.

    Returns:
        Number of completed iterations.

    Raises:
        DiskError: if a file cannot be written, and the run stops.
        Diverged: if a metric is not finite.
    """
    config = experiment.config
    last = config.training.iterations
    waiting: tuple[int, Any, int] | None = None
    done = start
    if evaluations is not None and evaluations.due(start):
        # The run was interrupted between this checkpoint and its evaluation.
        _evaluate(evaluations, recorder, start, state)
    per_call = experiment.per_call
    batches = prefetch(experiment.pipeline, start, last, step=per_call)
    ends_of_calls = range(start + per_call, last + 1, per_call)
    for done, batch in zip(ends_of_calls, batches, strict=True):
        n = experiment.updates_in(batch)
        profiled.before(done - per_call, state)
        state, metrics = steps[n](state, experiment.put(batch), experiment.key)
        # The metrics of the previous call are fetched while this call runs, so the
        # device is never idle, and at most two calls are queued.
        if waiting is not None:
            recorder.iterations(*waiting)
        profiled.after(done, state)
        images = n * config.training.batch_size * len(experiment.seeds)
        waiting = (done, metrics, images)
        ends = interruption.due() or done == last
        draws = done == last or done % config.samples.every == 0
        evaluates = evaluations is not None and evaluations.due(done)
        # Saved before an evaluation, because a run may be killed during a long one.
        saves = ends or evaluates or done % config.checkpoint.every == 0
        if draws or saves:
            recorder.iterations(*waiting)  # raises before a non-finite state is saved
            waiting = None
        saver.poll()
        try:
            if draws:
                recorder.samples(done, state)
            if saves:
                # A run that resumes from the checkpoint does not draw them again.
                recorder.settle_samples()
        finally:
            if saves:  # also if the disk of the pictures is full: it may be another
                saver.save(done, state)
        if evaluations is not None and evaluates and interruption.signal is None:
            _evaluate(evaluations, recorder, done, state)
            # A signal during the evaluation stops the run now, not an iteration later.
            ends = ends or interruption.signal is not None
        if ends:
            break
    batches.close()
    saver.settle()
    if interruption.signal is None:
        recorder.disk.attempt(
            str(samples),
            lambda: draw_missing(experiment, state, samples, step=done),
        )
    recorder.stage(DONE if interruption.signal is None else INTERRUPTED, done)
    return done


def _evaluate(
    evaluations: Evaluations, recorder: Recorder, step: int, state: GanState
) -> None:
    recorder.stage(EVALUATION, step)
    began = time.monotonic()
    values = recorder.disk.attempt(
        f"The evaluation of iteration {step}", lambda: evaluations.run(step, state)
    )
    recorder.evaluation(step, values or {}, time.monotonic() - began)
