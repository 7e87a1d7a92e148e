"""``--mode=train``: the loop, from a fresh state or the last checkpoint."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import ml_collections
from jax.sharding import Mesh

from wgan_jax.binding import refine
from wgan_jax.checkpoint import Checkpoints
from wgan_jax.data import Pipeline, Source, prefetch
from wgan_jax.experiment import (
    build_gan,
    build_pipeline,
    build_schedule,
    build_source,
    check_config,
)
from wgan_jax.gan import Gan, GanState, abstract_state, init_state
from wgan_jax.program.interruption import Interruption
from wgan_jax.program.pictures import check_drawable
from wgan_jax.program.recorder import Recorder
from wgan_jax.program.workdir import Workdir
from wgan_jax.sharding import (
    check_divisible,
    make_mesh,
    put_batches,
    replicated,
    split_batches,
)
from wgan_jax.steps import make_train_step

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A config's objects, on the devices at hand."""

    config: ml_collections.ConfigDict
    mesh: Mesh
    source: Source
    pipeline: Pipeline
    gan: Gan


def train(
    config: ml_collections.ConfigDict, workdir: Workdir, *, command: str, say: Say
) -> int:
    """Trains until ``config.training.iterations`` or until asked to stop.

    Args:
        config: one experiment.
        workdir: its folder; a run found there goes on from its last checkpoint.
        command: as the user typed it, for the record and for how to go on.
        say: prints one line for the user.

    Returns:
        Exit code: 0 at the end, 128 + signal after an interruption.

    Raises:
        ValueError: a mistake in the config or data, in a sentence; nothing was
            written.
        WorkdirError: the folder belongs to something else.
        CheckpointError: its checkpoints are of no use.
        Diverged: a metric stopped being finite.
    """
    check_config(config)
    workdir.check(config)
    experiment = _prepare(config, say=say)
    target = refine(abstract_state, experiment.gan, experiment.mesh)
    data = experiment.source.record()
    workdir.check_data(data)
    if jax.process_index() == 0:
        workdir.claim(config, data=data, command=command)
    with Checkpoints(
        workdir.checkpoints, keep=config.checkpoint.keep, warn=say
    ) as checkpoints:
        state, start = _restore_or_start(experiment, checkpoints, target)
        if start >= config.training.iterations:
            say(
                f"Iteration {start} is reached already; to go further, raise "
                f"--config.training.iterations. Samples: {workdir.samples}"
            )
            return 0
        whence = "Going on from iteration {}" if start else "Starting afresh"
        say(f"{whence.format(start)} in {workdir.path}.")
        steps = _compile(experiment, target, start=start, say=say)
        with (
            Interruption() as interruption,
            Recorder(workdir, config, experiment.source, start=start) as recorder,
        ):
            done = _loop(
                experiment, state, start, steps, recorder, checkpoints, interruption
            )
    if interruption.signal is not None:
        say(
            f"Stopped by {interruption.signal.name} at iteration {done}, checkpoint "
            f"saved; the same command goes on from there:\n  {command}"
        )
        return interruption.exit_code
    say(
        f"Done: iteration {done}, Wasserstein estimate "
        f"{recorder.latest['critic/wasserstein_estimate']:.3f}, critic's gradient norm "
        f"{recorder.gradient_norm:.3f}.\n"
        f"Look at {workdir.samples / f'step_{done:08d}.png'}\n"
        f"Curves: {workdir.metrics} and tensorboard --logdir {workdir.tensorboard}"
    )
    return 0


def _prepare(config: ml_collections.ConfigDict, *, say: Say) -> Experiment:
    """All objects, with every mistake found before anything is written."""
    mesh = make_mesh()
    training = config.training
    refine(
        check_divisible,
        mesh,
        **{
            f"config.training.{name}": training[name]
            for name in ("batch_size", "generator_batch_size")
            if training.get(name)
        },
    )
    build_schedule(config)
    say(f"Loading the data set {config.dataset.name}.")
    source = build_source(config)
    check_drawable(source)
    return Experiment(
        config=config,
        mesh=mesh,
        source=source,
        gan=build_gan(config, source.example_shape),
        pipeline=build_pipeline(
            config,
            source,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        ),
    )


def _restore_or_start(
    experiment: Experiment, checkpoints: Checkpoints, target: GanState
) -> tuple[GanState, int]:
    restored = checkpoints.restore(target)
    if restored is not None:
        state, _, start = restored
        return state, start
    key = jax.random.key(experiment.config.seed)
    return init_state(experiment.gan, key, experiment.mesh), 0


def _compile(
    experiment: Experiment, state: GanState, *, start: int, say: Say
) -> dict[int, Any]:
    """The compiled step for each number of critic updates that is to come."""
    config, mesh = experiment.config, experiment.mesh
    step = make_train_step(experiment.gan, mesh)
    key = jax.eval_shape(lambda: jax.random.key(0))
    images = experiment.source.images
    compiled = {}
    for n in build_schedule(config).distinct_updates(start, config.training.iterations):
        say(
            f"Compiling the training step: {n} critic updates and 1 generator update, "
            f"{mesh.size} device(s)."
        )
        began = time.perf_counter()
        batch = jax.ShapeDtypeStruct(
            (n, config.training.batch_size, *images.shape[1:]),
            images.dtype,
            sharding=split_batches(mesh),
        )
        compiled[n] = step.lower(state, {"image": batch}, key).compile()
        say(f"Compiled in {time.perf_counter() - began:.1f} s.")
    return compiled


def _loop(
    experiment: Experiment,
    state: GanState,
    start: int,
    steps: dict[int, Any],
    recorder: Recorder,
    checkpoints: Checkpoints,
    interruption: Interruption,
) -> int:
    """Iterations ``start`` .. the last; returns how many are done in all."""
    config, mesh = experiment.config, experiment.mesh
    last = config.training.iterations
    key = jax.device_put(jax.random.key(config.seed), replicated(mesh))
    waiting: tuple[int, Any, int] | None = None
    done = start
    batches = prefetch(experiment.pipeline, start, last)
    for done, batch in enumerate(batches, start + 1):
        n = len(batch["image"])
        state, metrics = steps[n](state, put_batches(mesh, batch), key)
        # The metrics before this step are fetched only now, while it runs: the
        # device never waits for us, and never runs more than two steps ahead.
        if waiting is not None:
            recorder.iteration(*waiting)
        waiting = (done, metrics, n * config.training.batch_size)
        ends = done == last or interruption.signal is not None
        draws = done == last or done % config.samples.every == 0
        saves = ends or done % config.checkpoint.every == 0
        if draws or saves:
            recorder.iteration(*waiting)  # what is not finite is never saved
            waiting = None
        if saves:
            checkpoints.save(done, state, {"iteration": done})
            recorder.event(f"Iteration {done}: checkpoint.")
        if draws:
            recorder.samples(done, experiment.gan, state)
        if ends:
            break
    batches.close()
    checkpoints.wait()
    return done
