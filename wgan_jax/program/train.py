"""``--mode=train``: from the config to the end of a run."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

import jax

from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.config.evaluation import build_evaluator
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.errors import ConfigError
from wgan_jax.evaluation import Evaluator
from wgan_jax.gan import GanState
from wgan_jax.losses import OBJECTIVES
from wgan_jax.losses.objectives import WASSERSTEIN_GAP
from wgan_jax.networks import onednn_support
from wgan_jax.parallel import multiprocess
from wgan_jax.program.console import Log, finish, is_quiet, warn, warner
from wgan_jax.program.gallery import draw_missing, draw_real
from wgan_jax.program.heartbeat import Heartbeat
from wgan_jax.program.interruption import Interruption
from wgan_jax.program.live_report import reported, write_last_report
from wgan_jax.program.locking import locked
from wgan_jax.program.loop import run_iterations
from wgan_jax.program.origins import (
    Origin,
    asked_origin,
    check_unchanged,
    in_words,
    settled_origin,
)
from wgan_jax.program.periodic_evaluation import Evaluations
from wgan_jax.program.pictures import are_drawable
from wgan_jax.program.previews import draw_previews
from wgan_jax.program.profile import Profile
from wgan_jax.program.recorder import Recorder
from wgan_jax.program.restoring import check_start
from wgan_jax.program.saving import Saver
from wgan_jax.program.setup import Experiment, prepare
from wgan_jax.program.starting import Start, start_from
from wgan_jax.program.workdir import Workdir, reference_cache


def train(
    config: Config,
    workdir: Workdir,
    *,
    command: str,
    log: Log,
    lineage: Mapping[str, Any] | None = None,
    profile: int | None = None,
    fork: str | None = None,
    init: str | None = None,
    checkpoint: str | None = None,
    weights: str | None = None,
) -> int:
    """Trains until ``config.training.iterations`` or an interruption.

    Args:
        config: config of one experiment.
        workdir: folder of the run. An existing run resumes from its last
            checkpoint.
        command: command line, which is recorded, and printed for resuming.
        log: function that prints one line.
        lineage: origin of the config, which is recorded.
        profile: number of iterations to trace, or None.
        fork: folder of a run whose state a new run starts from, or None.
        init: run or trained generator whose weights a new run starts from.
        checkpoint: checkpoint of that run: ``latest``, ``best`` or an iteration.
        weights: ``ema`` or ``live``, for ``init`` from a run.

    Returns:
        Exit code: 0 at the end, 128 + signal number after an interruption. In a
        multi-process run, it is 143 on all processes if one receives SIGTERM. It is
        2 if the last checkpoint or the report could not be written because of the
        disk.

    Raises:
        ValueError: if there are mistakes in the config or the data. Nothing is
            written.
        WorkdirError: if the folder does not belong to this run.
        CheckpointError: if a checkpoint cannot be read or written.
        DiskError: if a file cannot be written because of the disk.
        Diverged: if a metric is not finite.
    """
    asked = asked_origin(fork=fork, init=init, checkpoint=checkpoint, weights=weights)
    config = workdir.settled(resolve(config))
    if config.checkpoint.on_failure != "stop" and jax.process_count() > 1:
        raise ConfigError(
            f"config.checkpoint.on_failure is {config.checkpoint.on_failure!r}, but "
            f"there are {jax.process_count()} processes. Use 'stop'."
        )
    workdir.check(config)
    origin = settled_origin(workdir, asked)
    experiment = prepare(config, log=log, trains=True)
    _warn_of_slow_bfloat16(config, log=log)
    evaluator = _evaluator(experiment)
    _ = experiment.target  # raises if the parts are incompatible
    _warn_of_no_distance(experiment, log=log)
    data = experiment.source.record()
    workdir.check_data(data)
    check_start(config, workdir.newest_checkpoint())
    before, here = workdir.platform(), jax.default_backend()
    if before not in (None, here):
        warn(
            log,
            f"The run continues on {here} instead of {before}, where results differ by "
            "rounding.",
        )
    first = _first_state(origin, experiment, workdir, log=log)
    record = None if first is None else first.record
    lock: AbstractContextManager[None] = nullcontext()
    if multiprocess.is_primary():
        lock = locked(workdir.lock, log=log)
    with lock:
        if multiprocess.is_primary():
            workdir.check(config)  # again: another run may have ended meanwhile
            workdir.claim(
                config,
                data=data,
                command=command,
                lineage=lineage,
                origin=record,
                parameters=experiment.parameters,
            )
        multiprocess.barrier()
        workdir.check_shared()
        workdir.check(config)  # again, now that the primary process has written it
        workdir.check_data(data)
        return _train(
            experiment,
            evaluator,
            workdir,
            first,
            command=command,
            log=log,
            profile=profile,
        )


def _first_state(
    origin: Origin | None, experiment: Experiment, workdir: Workdir, *, log: Log
) -> Start | None:
    """Returns the first state of a new run that starts from an earlier one."""
    if origin is None or workdir.has_checkpoint():
        return None
    first = start_from(origin, experiment, log=log)
    check_unchanged(first.record, workdir)
    check_start(experiment.config, first.step)
    return first


def _train(
    experiment: Experiment,
    evaluator: Evaluator | None,
    workdir: Workdir,
    first: Start | None,
    *,
    command: str,
    log: Log,
    profile: int | None,
) -> int:
    """Runs ``train`` in a folder that belongs to this run."""
    config = experiment.config
    with Checkpoints(
        workdir.checkpoints, keep=config.checkpoint.keep, warn=warner(log)
    ) as checkpoints:
        state, start = _restore_or_start(experiment, checkpoints, first)
        check_start(config, start)  # may be an older one if the newest is broken
        if start >= config.training.iterations:
            if profile is not None:
                log("No iterations are left to trace.")
            return _already_there(experiment, evaluator, workdir, state, start, log=log)
        if first is not None:
            log(in_words(first.record))
        whence = "Resuming from iteration {}" if start else "Starting a new run"
        log(f"{whence.format(start)} in {workdir.path}.")
        # Created here, because all processes must launch collective operations in the
        # same order. Below, only the preview thread launches any.
        _ = experiment.key, experiment.gan
        # Both in threads, because Ctrl-C would wait for a compiler in the main thread.
        beside = ThreadPoolExecutor(max_workers=2)
        try:
            # Compiles the sampler in parallel with the training step.
            rehearsal = beside.submit(draw_previews, experiment, state)
            compiling = beside.submit(experiment.compile, start, log=log)
            steps = compiling.result()
            rehearsal.result()
        finally:
            beside.shutdown(wait=False, cancel_futures=True)
        with (
            reported(workdir, log=log) as report,
            Interruption() as interruption,
            Recorder(workdir, experiment, start=start, quiet=is_quiet(log)) as recorder,
            closing(
                Profile(
                    workdir.profile,
                    profile,
                    start=start,
                    per_call=experiment.per_call,
                    last=config.training.iterations,
                    log=recorder.event,
                )
            ) as profiled,
            _evaluations(
                evaluator, workdir, experiment, start, interruption, recorder.console
            ) as evaluations,
        ):
            saver = Saver(
                checkpoints, recorder.disk, start=start, tell=recorder.checkpoint
            )
            if multiprocess.is_primary():
                recorder.disk.attempt(
                    str(workdir.samples),
                    lambda: draw_real(experiment, workdir.samples),
                )
            multiprocess.barrier()
            done = run_iterations(
                experiment,
                state,
                start,
                steps,
                recorder=recorder,
                saver=saver,
                evaluations=evaluations,
                interruption=interruption,
                profiled=profiled,
                samples=workdir.samples,
            )
    if interruption.signal is not None:
        stopped = f"Stopped by {interruption.signal.name} at iteration {done}"
        if saver.saved < done:
            warn(log, f"{stopped}. {saver.in_words(done)}")
            return 2
        log(
            f"{stopped}; checkpoint saved. The same command resumes from there:\n"
            f"  {command}"
        )
        return interruption.exit_code
    page = f"{workdir.report} (any browser), " if workdir.report.exists() else ""
    finish(
        log,
        f"Done: iteration {done}, {recorder.gap_name} {recorder.gap:.3f}, critic "
        f"gradient norm {recorder.gradient_norm:.3f}.\n"
        f"Samples: {_samples(experiment, workdir, done)}\n"
        f"Curves: {page}{workdir.metrics}, and "
        f"tensorboard --logdir {workdir.tensorboard}",
        workdir.path,
    )
    if saver.saved < done:
        warn(log, saver.in_words(done))
    return 0 if report.written and saver.saved == done else 2


def _already_there(
    experiment: Experiment,
    evaluator: Evaluator | None,
    workdir: Workdir,
    state: GanState,
    step: int,
    *,
    log: Log,
) -> int:
    """Does what a run lacks that was stopped at its end, and leaves others as is.

    That is its last evaluation, its last pictures, its end in the heartbeat, and its
    report.
    """
    evaluated = False
    with (
        Interruption() as interruption,
        _evaluations(
            evaluator, workdir, experiment, step, interruption, log
        ) as evaluations,
    ):
        if evaluations is not None and evaluations.due(step):
            evaluated = bool(evaluations.run(step, state))
    heartbeat = Heartbeat(workdir.heartbeat)
    has_ended = heartbeat.is_done() and not evaluated
    lacks = not has_ended or not workdir.report.exists()
    lacks = lacks and interruption.signal is None  # the next start does the rest
    written = True
    if multiprocess.broadcast_from_primary(float(lacks)):
        draw_missing(experiment, state, workdir.samples, step=step)
        if multiprocess.is_primary() and not has_ended:
            heartbeat.mark_done(step)
        written = write_last_report(workdir, log=log)
    finish(
        log,
        f"Iteration {step} has already been reached. To train longer, raise "
        f"--config.training.iterations. Samples: {_samples(experiment, workdir)}",
        workdir.path,
    )
    return interruption.exit_code if written else 2


def _samples(experiment: Experiment, workdir: Workdir, step: int | None = None) -> str:
    """Returns where the samples of a run are, or how to draw them."""
    if not are_drawable(experiment.source.example_shape):
        return f"wgan-jax sample --workdir={workdir.path}"
    return str(workdir.samples / (f"step_{step:08d}.png" if step else ""))


def _restore_or_start(
    experiment: Experiment, checkpoints: Checkpoints, first: Start | None
) -> tuple[GanState, int]:
    restored = checkpoints.restore(experiment.target)
    if restored is not None:
        state, _, start = restored
        return state, start
    if first is None:
        return experiment.initial_state(), 0
    # Saved at once, so that the run no longer depends on its origin.
    checkpoints.save(first.step, first.state, {"iteration": first.step})
    return first.state, first.step


def _warn_of_slow_bfloat16(config: ExperimentConfig, *, log: Log) -> None:
    """Warns if the CPU has no native bfloat16 multiplication."""
    asked = config.training.compute_dtype == "bfloat16"
    on_cpu = asked and jax.default_backend() == "cpu"
    if on_cpu and not onednn_support.is_used("bfloat16"):
        warn(
            log,
            "config.training.compute_dtype is bfloat16, but this CPU does not support "
            "it natively, so training is slower than in float32. Use float32.",
        )


def _warn_of_no_distance(experiment: Experiment, *, log: Log) -> None:
    """Warns if nothing bounds the gradient of a Wasserstein critic."""
    name = OBJECTIVES[experiment.config.objective.name].gap_name
    if name == WASSERSTEIN_GAP and not experiment.gan.bounds_gradient:
        warn(
            log,
            "Nothing bounds the gradient of the critic, so the gap of its scores is no "
            "Wasserstein distance. Set config.penalty, config.constraint or "
            "config.critic.parametrization=spectral.",
        )


def _evaluator(experiment: Experiment) -> Evaluator | None:
    fields = experiment.config.evaluation
    if fields is None or not fields.every:
        return None
    return build_evaluator(
        experiment.config, experiment.source, cache=reference_cache()
    )


def _evaluations(
    evaluator: Evaluator | None,
    workdir: Workdir,
    experiment: Experiment,
    start: int,
    interruption: Interruption,
    log: Log,
) -> AbstractContextManager[Evaluations | None]:
    if evaluator is None:
        return nullcontext()
    return closing(
        Evaluations(
            workdir,
            experiment,
            evaluator,
            start=start,
            interruption=interruption,
            log=log,
        )
    )
