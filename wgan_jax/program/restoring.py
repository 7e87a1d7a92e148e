"""Restoring of the latest, the best, or a given checkpoint of a run."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import jax

from wgan_jax.checkpointing.checkpoints import Checkpoints
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.errors import CheckpointError, ConfigError
from wgan_jax.gan import Gan, GanState
from wgan_jax.program.console import Log, warner
from wgan_jax.program.setup import Experiment
from wgan_jax.program.workdir import Workdir
from wgan_jax.sampling import standing_statistics

StateT = TypeVar("StateT")
T = TypeVar("T")


def restore_checkpoint(
    workdir: Workdir, experiment: Experiment, which: str, *, log: Log
) -> tuple[GanState, int]:
    """Reads a checkpoint of a run, which may still be training.

    Args:
        workdir: folder of the run.
        experiment: experiment of the run.
        which: ``latest``, ``best`` (by ``config.evaluation.best_by``), or an
            iteration.
        log: function that prints one line.

    Returns:
        The state and its iteration.

    Raises:
        ConfigError: if ``which`` is invalid.
        CheckpointError: if there is no such checkpoint, or it cannot be read.
        WorkdirError: if the dataset differs from that of the run.
    """
    check_choice(which)
    if not experiment.described:
        workdir.check_data(experiment.source.record())
    return read_checkpoint(workdir, experiment.target, which, log=log)


def check_choice(which: str, *, name: str = "--checkpoint") -> None:
    """Raises ConfigError unless a checkpoint is latest, best or an iteration.

    Args:
        which: the choice.
        name: name of the flag or the argument, for the message.
    """
    if which not in ("latest", "best") and not which.isdecimal():
        raise ConfigError(
            f"{name}={which} is not valid; it must be latest, best or an iteration."
        )


def checkpoint_folder(workdir: Workdir, which: str) -> Path:
    """Returns the folder of checkpoints that has the latest, best or given one.

    Args:
        workdir: folder of the run.
        which: ``latest``, ``best`` or an iteration.

    Raises:
        CheckpointError: if there is no such folder.
    """
    folder = workdir.best if which == "best" else workdir.checkpoints
    if not folder.is_dir():
        raise CheckpointError(
            f"{workdir.path} has no best checkpoint. Train with "
            "config.evaluation.every above 0 and config.evaluation.best_by set."
            if which == "best"
            else f"{workdir.path} has no checkpoint to read. Train first."
        )
    return folder


def read_checkpoint(
    workdir: Workdir, target: StateT, which: str, *, log: Log
) -> tuple[StateT, int]:
    """Reads a checkpoint of a run into a given target.

    Args:
        workdir: folder of the run.
        target: as for ``Checkpoints.restore``.
        which: ``latest``, ``best`` or an iteration.
        log: function that is called with a message about a broken checkpoint.

    Returns:
        The state and its iteration.

    Raises:
        CheckpointError: if there is no such checkpoint, it cannot be read, or it
            does not match the target.
    """
    state, _, found = read_with(
        workdir, which, lambda c, step: c.restore(target, step=step), log=log
    )
    return state, found


def read_with(
    workdir: Workdir,
    which: str,
    read: Callable[[Checkpoints, int | None], T | None],
    *,
    log: Log,
) -> T:
    """Reads from the checkpoints of a run, without changing any.

    Args:
        workdir: folder of the run.
        which: ``latest``, ``best`` or an iteration.
        read: takes the checkpoints, and the iteration if one is given; returns
            None if there is none.
        log: function that is called with a message about a broken checkpoint.

    Returns:
        The result of ``read``.

    Raises:
        CheckpointError: if there is no such checkpoint, or as ``read``.
    """
    folder = checkpoint_folder(workdir, which)
    # A reader removes nothing, so the number to keep has no effect.
    with Checkpoints(folder, keep=1, read_only=True, warn=warner(log)) as checkpoints:
        found = read(checkpoints, int(which) if which.isdecimal() else None)
    if found is None:
        raise CheckpointError(f"{folder} has no checkpoint to read yet. Train first.")
    return found


def with_standing_statistics(
    config: ExperimentConfig, gan: Gan, state: GanState
) -> GanState:
    """Returns a state with standing statistics, if the config asks for them.

    Args:
        config: an experiment.
        gan: the GAN of the state.
        state: state of one run.

    Returns:
        The state with those of the EMA and of the current parameters replaced,
        from ``config.samples.standing_batches`` batches of the size of the
        training's.
    """
    batches = config.samples.standing_batches
    if not batches:
        return state
    # No sample has this index.
    key = jax.random.fold_in(jax.random.key(config.samples.seed), 2**32 - 1)
    for use_ema in (True, False) if gan.ema_decay is not None else (False,):
        state = standing_statistics(
            gan,
            state,
            key,
            batches=batches,
            batch_size=config.training.batch_size,
            use_ema=use_ema,
        )
    return state


def check_start(config: ExperimentConfig, start: int) -> None:
    """Raises ConfigError if a run cannot be resumed with its call length.

    Args:
        config: an experiment.
        start: number of iterations already completed.

    Raises:
        ConfigError: if ``start`` is not a multiple of ``iterations_per_call``.
            The message names the longest possible call.
    """
    per_call = config.training.iterations_per_call
    if start < config.training.iterations and start % per_call:
        raise ConfigError(
            f"the last checkpoint is of iteration {start}, which is not a multiple of "
            f"config.training.iterations_per_call={per_call}. Use "
            f"{math.gcd(start, per_call)} to resume from there."
        )
