"""``train --debug-nans``: repeats the last iterations, and names what is not finite.

The compiled step of the run is repeated from the last checkpoint. Where a metric is
not finite, the updates of that iteration are repeated one by one, and the first bad
update operation by operation.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.checkpointing.manifest import flatten
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.data import prefetch
from wgan_jax.errors import ConfigError
from wgan_jax.gan import Gan, GanState
from wgan_jax.program.console import Console, Log, warn
from wgan_jax.program.heartbeat import FAILED, Heartbeat
from wgan_jax.program.origins import settled_origin
from wgan_jax.program.restoring import read_with
from wgan_jax.program.setup import Experiment, prepare
from wgan_jax.program.starting import start_from
from wgan_jax.program.terms import first_bad_term
from wgan_jax.program.workdir import Workdir
from wgan_jax.training.origins import Origin, find_origins
from wgan_jax.training.steps import critic_step, generator_step, train_step
from wgan_jax.types import PyTree

_ALONE = ("fork", "init", "checkpoint", "weights", "profile")  # flags that exclude it


class _Update(NamedTuple):
    """One update of an iteration."""

    title: str
    step: Callable[..., Any]
    inputs: tuple[Any, ...]


def debug_nans(
    config: Config,
    workdir: Workdir,
    *,
    command: str,
    log: Log,
    lineage: Mapping[str, Any] | None = None,
    **flags: Any,
) -> int:
    """Repeats a run from its last checkpoint. Nothing is written into its folder.

    Args:
        config: config of the run.
        workdir: its folder.
        command: not used; as for ``train``.
        log: function that prints one line.
        lineage: not used; as for ``train``.
        **flags: other flags of ``train``, which exclude this one.

    Returns:
        Exit code: 1 if something is not finite, 0 if everything is.

    Raises:
        ConfigError: if a flag excludes this one.
        WorkdirError: if the folder is not that of this run.
        CheckpointError: if a checkpoint cannot be read.
    """
    for name in _ALONE:
        if flags.get(name) is not None:
            raise ConfigError(f"--{name} and --debug-nans cannot be combined.")
    if jax.process_count() > 1:
        raise ConfigError("--debug-nans needs a single process; omit --distributed.")
    workdir.record()  # raises if there is no run
    config = workdir.settled(resolve(config))
    workdir.check(config)
    experiment = prepare(config, log=log, trains=True)
    workdir.check_data(experiment.source.record())
    state, start = _last_state(workdir, experiment, log=log)
    last = _last_iteration(workdir, experiment, start)
    log(f"Repeating iterations {start + 1} to {last} of {workdir.path}.")
    for done, before, batch, metrics in _iterations(
        experiment, state, start, last, log
    ):
        rows = {name: np.asarray(value).reshape(-1) for name, value in metrics.items()}
        finite = np.all([np.isfinite(row) for row in rows.values()], axis=0)
        if not finite.all():
            column = int(np.argmin(finite))
            values = {name: float(row[column]) for name, row in rows.items()}
            iteration = done
            if not experiment.is_replicated:
                iteration += 1 + column - experiment.per_call
            lines = _diagnosis(experiment, before, batch, column, values, iteration)
            for line in lines:
                (log.result if isinstance(log, Console) else log)(line)
            return 1
    warn(
        log,
        f"Nothing in iterations {start + 1} to {last} is infinite or NaN. If the run "
        "stopped there, it had other devices or other versions of packages.",
    )
    return 0


def _last_state(
    workdir: Workdir, experiment: Experiment, *, log: Log
) -> tuple[GanState, int]:
    """Returns the last checkpoint, or the state that the run began with."""
    if workdir.has_checkpoint():
        state, _, step = read_with(
            workdir, "latest", lambda c, _: c.restore(experiment.target), log=log
        )
        return state, step
    origin = settled_origin(workdir, None)
    if origin is None:
        return experiment.initial_state(), 0
    first = start_from(origin, experiment, log=log)
    return first.state, first.step


def _last_iteration(workdir: Workdir, experiment: Experiment, start: int) -> int:
    """Returns the iteration that stopped the run; the last one if it is unknown."""
    last = experiment.config.training.iterations
    found = Heartbeat(workdir.heartbeat).read()
    if found.get("stage") != FAILED or not isinstance(found.get("iterations"), int):
        return last
    # The metrics of the call after these iterations were not finite.
    return min(max(found["iterations"], start) + experiment.per_call, last)


def _iterations(
    experiment: Experiment, state: GanState, start: int, last: int, log: Log
) -> Iterator[tuple[int, GanState, PyTree, dict[str, Any]]]:
    """Yields the end, the state before, the batch and the metrics of each call."""
    steps, per_call = experiment.compile(start, log=log), experiment.per_call
    batches = prefetch(experiment.pipeline, start, last, step=per_call)
    ends = range(start + per_call, last + 1, per_call)
    try:
        for done, batch in zip(ends, batches, strict=True):
            before = jax.tree.map(jnp.copy, state)  # the step donates the other one
            step = steps[experiment.updates_in(batch)]
            state, metrics = step(state, experiment.put(batch), experiment.key)
            yield done, before, batch, jax.device_get(metrics)
    finally:
        batches.close()


def _diagnosis(
    experiment: Experiment,
    before: GanState,
    batch: PyTree,
    column: int,
    values: Mapping[str, float],
    iteration: int,
) -> list[str]:
    """Returns what is not finite in an iteration, as lines."""
    which = column if experiment.is_replicated else 0
    name, gan, state = list(experiment.runs(before))[which]
    where = f"Iteration {iteration}" + (f" of replica {name!r}" if name else "")
    key = jax.random.key(experiment.seeds[which])
    state = jax.tree.map(jnp.asarray, jax.device_get(state))  # on one device
    if experiment.is_replicated:
        batch = jax.tree.map(lambda x: x[which], batch)
    elif experiment.per_call > 1:
        step = jax.jit(partial(train_step, gan))
        for k in range(column):
            state, _ = step(state, jax.tree.map(lambda x, k=k: x[k], batch), key)
        batch = jax.tree.map(lambda x: x[column], batch)
    config = experiment.config
    for update in _updates(gan, batch, key, config.training.batch_size):
        after, metrics = jax.jit(update.step)(state, *update.inputs)
        found = {name: float(value) for name, value in metrics.items()}
        term = first_bad_term(found, config)
        bad = _not_finite(after)
        if term or bad:
            origins = find_origins(update.step, state, *update.inputs)
            return [
                f"{where}, {update.title}: {_term_in_words(term, bad)} not finite.",
                _operation_in_words(origins),
            ]
        state = after
    return [
        f"{where}: {first_bad_term(values, config)} is not finite in the compiled "
        "step, but is when the updates run one by one, so rounding decides. Lower the "
        "learning rates."
    ]


def _updates(gan: Gan, batch: PyTree, key: Any, batch_size: int) -> Iterator[_Update]:
    """Yields the updates of an iteration, in order."""
    parts = {name: jnp.asarray(rows) for name, rows in batch.items()}
    if gan.conditional is None:
        parts.pop("label", None)
    count = len(parts["image"]) - int(gan.objective.paired)
    for n in range(count):
        part = {name: rows[n] for name, rows in parts.items()}
        title = f"critic update {n + 1} of {count}"
        yield _Update(title, partial(critic_step, gan), (part, key))
    real = {name: rows[-1] for name, rows in parts.items()}
    size = gan.generator_batch_size or batch_size
    step = partial(
        generator_step,
        gan,
        batch_size=size,
        real=real if gan.objective.paired else None,
    )
    yield _Update("generator update", step, (key,))


def _not_finite(state: GanState) -> list[str]:
    """Returns the parameters of a state that are not finite, by path."""
    found = flatten(
        {"critic": state.critic.params, "generator": state.generator.params}
    )
    return [
        path
        for path, leaf in found.items()
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
        and not bool(jnp.isfinite(leaf).all())
    ]


def _term_in_words(term: str, bad: list[str]) -> str:
    if not bad:
        return f"{term} is"
    several = f" and {len(bad) - 1} others" if len(bad) > 1 else ""
    parameters = f"the gradient with respect to {bad[0]}{several}"
    if not term:
        return f"{parameters} is"
    return f"{term} is the first term that is not finite, and {parameters} is"


def _operation_in_words(origins: PyTree) -> str:
    found: list[Origin] = jax.tree.leaves(origins)
    if not found:
        return (
            "Every operation is finite when it runs alone, so rounding within a fused "
            "kernel decides."
        )
    first = min(found, key=lambda origin: origin.order)
    if first.operation == "input":
        return f"The state or the batch has {first.value}."
    line = f"{first.file}:{first.line} ({first.function})" if first.file else "JAX"
    part = "the gradient of the operation" if first.in_gradient else "the operation"
    return (
        f"The first {first.value} is the result of {part} {first.operation} at {line}."
    )
