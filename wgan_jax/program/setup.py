"""Objects of an experiment on the available devices, for one run or for replicas."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from wgan_jax.config.build import build_pipeline, build_schedule, build_source
from wgan_jax.config.evaluation import build_evaluator
from wgan_jax.config.experiment import ExperimentConfig, with_value
from wgan_jax.config.problems import Problems
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.config.rows import as_config_error
from wgan_jax.data import AnyPipeline, PipelineCalls, PipelineStack, Source
from wgan_jax.data.checks import check_training_set
from wgan_jax.data.sources import described_source
from wgan_jax.errors import ConfigError
from wgan_jax.gan import Gan, GanState
from wgan_jax.parallel.sharding import (
    batch_sharding,
    make_mesh,
    put_batches,
    put_key,
)
from wgan_jax.program.batch_sizes import check_single_examples, check_sizes
from wgan_jax.program.console import Log
from wgan_jax.program.sweep import build_replicas
from wgan_jax.training.compiled import make_train_step, make_train_steps
from wgan_jax.training.init import abstract_state, init_state
from wgan_jax.training.replicas import (
    abstract_replicas,
    init_replicas,
    make_replicas_step,
    put_replicas,
    replica,
)
from wgan_jax.types import PyTree


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Objects of an experiment with K replicas.

    Attributes:
        config: the experiment config.
        mesh: device mesh.
        source: the examples.
        pipeline: batches by iteration. They have a leading axis of replicas, or
            of the iterations of a call if there are several.
        gan_of: function from the value of the swept field to the Gan.
        settings: float32 ``[K]``, the value of each replica; 0 without a sweep.
        seeds: seed of each replica.
        described: whether the source has the shape of the dataset only, and not
            its examples.
    """

    config: ExperimentConfig
    mesh: Mesh
    source: Source
    pipeline: AnyPipeline
    gan_of: Callable[[Any], Gan]
    settings: np.ndarray
    seeds: list[int]
    described: bool = False

    @property
    def is_replicated(self) -> bool:
        """Whether arrays have a leading axis of replicas."""
        return len(self.seeds) > 1

    @functools.cached_property
    def per_call(self) -> int:
        """Iterations per call; if several, they are a leading axis of the batches."""
        return self.config.training.iterations_per_call

    @functools.cached_property
    def placement(self) -> str:
        """Placement of the state of a single run on the devices."""
        return self.config.training.placement

    @functools.cached_property
    def gan(self) -> Gan:
        """The Gan; in a sweep, that of the first value."""
        return self.gan_of(float(self.settings[0]))

    @functools.cached_property
    def target(self) -> GanState:
        """The state as shapes, dtypes and shardings."""
        if not self.is_replicated:
            return as_config_error(
                abstract_state, self.gan, self.mesh, placement=self.placement
            )
        return as_config_error(
            abstract_replicas, self.gan_of, settings=self.settings, mesh=self.mesh
        )

    @functools.cached_property
    def parameters(self) -> dict[str, int]:
        """Number of parameters of the generator and the critic, of one replica."""
        players = {"generator": self.target.generator, "critic": self.target.critic}
        return {
            name: sum(x.size for x in jax.tree.leaves(player.params)) // len(self.seeds)
            for name, player in players.items()
        }

    @functools.cached_property
    def key(self) -> Any:
        """Key of the run, or of each replica, on the devices."""
        if not self.is_replicated:
            return put_key(self.mesh, self.seeds[0])
        return put_replicas(self.mesh, jax.vmap(jax.random.key)(np.array(self.seeds)))

    def initial_state(self) -> GanState:
        """Returns the state at step 0."""
        if not self.is_replicated:
            return init_state(self.gan, self.key, self.mesh, placement=self.placement)
        return init_replicas(
            self.gan_of, self.key, settings=self.settings, mesh=self.mesh
        )

    def put(self, batch: PyTree) -> PyTree:
        """Moves the batch of a process to its devices."""
        if self.is_replicated:
            return put_replicas(self.mesh, batch)
        return put_batches(self.mesh, batch, axis=1 if self.per_call == 1 else 2)

    def updates_in(self, batch: PyTree) -> int:
        """Returns the number of batches per replica and iteration."""
        apart = self.is_replicated or self.per_call > 1
        return batch["image"].shape[1 if apart else 0]

    def runs(self, state: GanState) -> Iterator[tuple[str, Gan, GanState]]:
        """Yields the name (empty for a single run), Gan and state of each replica."""
        if not self.is_replicated:
            yield "", self.gan, state
            return
        for k, name in enumerate(self.names):
            yield name, self.gan, replica(state, k)

    @property
    def names(self) -> list[str]:
        """Names of the replicas, such as ``penalty.weight=0.1 seed=3``."""
        field = self.config.sweep.field if self.config.sweep else None
        swept = [f"{field}={value:g} " if field else "" for value in self.settings]
        return [f"{a}seed={b}" for a, b in zip(swept, self.seeds, strict=True)]

    def compile(self, start: int, *, log: Log) -> dict[int, Any]:
        """Compiles the step for each number of batches that the run will need.

        Args:
            start: number of iterations already completed.
            log: function that prints one line.

        Returns:
            Compiled steps by number of batches.
        """
        if self.is_replicated:
            step = make_replicas_step(self.gan_of, self.mesh, settings=self.settings)
        else:
            make = make_train_step if self.per_call == 1 else make_train_steps
            step = make(self.gan, self.mesh, placement=self.placement)
        training, schedule = self.config.training, build_schedule(self.config)
        compiled = {}
        for updates in schedule.distinct_updates(start, training.iterations):
            several = f"{len(self.seeds)} replicas, " if self.is_replicated else ""
            if self.per_call > 1:
                several = f"{self.per_call} iterations, each "
            log(
                f"Compiling the training step: {several}{updates} critic updates and "
                f"1 generator update, {self.mesh.size} device(s)."
            )
            began = time.perf_counter()
            batches = updates + int(self.gan.objective.paired)
            key = jax.ShapeDtypeStruct(self.key.shape, self.key.dtype)
            batch = self._abstract_batch(batches)
            compiled[batches] = step.lower(self.target, batch, key).compile()
            log(f"Compiled in {time.perf_counter() - began:.1f} s.")
        return compiled

    def _abstract_batch(self, batches: int) -> PyTree:
        images = self.source.images
        shape: tuple[int, ...] = (batches, self.config.training.batch_size)
        sharding = batch_sharding(self.mesh)
        if self.is_replicated:
            shape, sharding = (len(self.seeds), *shape), self.key.sharding
        elif self.per_call > 1:
            shape = (self.per_call, *shape)
            sharding = batch_sharding(self.mesh, axis=2)
        batch = {"image": (*shape, *images.shape[1:])}
        dtypes = {"image": images.dtype, "label": np.dtype(np.int32)}
        if self.gan.conditional is not None:
            batch["label"] = shape
        return {
            name: jax.ShapeDtypeStruct(size, dtypes[name], sharding=sharding)
            for name, size in batch.items()
        }


def prepare(
    config: Config,
    *,
    log: Log,
    data: Mapping[str, Any] | None = None,
    trains: bool = False,
) -> Experiment:
    """Builds all objects of an experiment, without writing any files.

    Args:
        config: config of one experiment.
        log: function that prints one line.
        data: description of the dataset from ``config.json``. If given, examples
            are not loaded, except points in the plane, and the source has examples
            of the same shape that are all 0.
        trains: whether batches are divided among the devices. If not, any number
            of devices can read the state of a run.

    Returns:
        The experiment.

    Raises:
        ValueError: if there are mistakes in the config or the data. The message
            lists all of them.
    """
    config = resolve(config)
    problems = Problems()
    # Points in the plane are loaded, to be drawn below the generated points.
    described = data is not None and data["example_shape"] != [2]
    if data is not None and described:
        source = described_source(data)
    else:
        log(f"Loading the dataset {config.dataset.name}.")
        source = build_source(config)
    if not described:
        labels = config.dataset.labels
        problems.attempt(check_training_set, source, labels=labels)
    mesh = make_mesh() if trains else None
    built = check_parts(config, source, problems, mesh=mesh)
    if problems.messages and config.evaluation is not None:
        problems.attempt(build_evaluator, config, source)
    problems.raise_all()
    assert built is not None
    gan_of, settings, seeds, pipeline = built
    return Experiment(
        config=config,
        mesh=mesh or _reading_mesh(len(seeds)),
        source=source,
        pipeline=pipeline,
        gan_of=gan_of,
        settings=settings,
        seeds=seeds,
        described=described,
    )


def check_parts(
    config: ExperimentConfig,
    source: Source,
    problems: Problems,
    *,
    mesh: Mesh | None,
) -> tuple[Callable[[Any], Gan], np.ndarray, list[int], Any] | None:
    """Builds the objects that depend on the data and the devices.

    Args:
        config: an experiment.
        source: its dataset. Without examples, no pipeline is built.
        problems: records the mistakes.
        mesh: devices that batches and replicas must divide among; None if nothing
            is trained.

    Returns:
        The result of ``build_replicas``, and the pipeline; None after mistakes.
    """
    replicas = problems.attempt(
        build_replicas, config, source.example_shape, classes=source.num_classes
    )
    seeds = [config.seed] if replicas is None else replicas[2]
    if mesh is not None:
        problems.attempt(check_sizes, config, mesh, replicas=len(seeds))
    pipeline = None
    if len(source):
        pipeline = problems.attempt(_build_pipeline, config, source, seeds)
    if replicas is None:
        return None
    gan_of, settings, _ = replicas
    gan = gan_of(float(settings[0]))
    problems.attempt(_check_label, config, gan)
    problems.attempt(check_single_examples, config, gan)
    return gan_of, settings, seeds, pipeline


def check_all(
    config: ExperimentConfig, problems: Problems, *, trains: bool = True
) -> None:
    """Looks for further mistakes, using the dataset but not its examples.

    Args:
        config: an experiment with some invalid fields.
        problems: known mistakes; further ones are added.
        trains: as for ``prepare``.
    """
    source = problems.attempt(build_source, config, examples=False)
    if source is None:  # all splits have the same shapes
        with contextlib.suppress(Exception):
            source = build_source(config, examples=False, split="train")
    if source is None:
        return
    if any(field.startswith("sweep") for field in problems.messages):
        config = with_value(config, "sweep", None)
    check_parts(config, source, problems, mesh=make_mesh() if trains else None)
    if config.evaluation is not None:
        problems.attempt(build_evaluator, config, source)


def _reading_mesh(replicas: int) -> Mesh:
    """Returns a mesh of all devices, or of the most that divide several replicas."""
    devices = jax.devices()
    if replicas > 1:
        counts = range(len(devices), 0, -1)
        devices = devices[: next(n for n in counts if replicas % n == 0)]
    return make_mesh(devices)


def _build_pipeline(
    config: ExperimentConfig, source: Source, seeds: list[int]
) -> AnyPipeline:
    if len(seeds) > 1:
        if jax.process_count() > 1:
            raise ConfigError(
                f"{len(seeds)} replicas must run in one process, but there are "
                f"{jax.process_count()}. Start a separate run in each process."
            )
        return PipelineStack([build_pipeline(config, source, seed=s) for s in seeds])
    single = build_pipeline(
        config,
        source,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    per_call = config.training.iterations_per_call
    return single if per_call == 1 else PipelineCalls(single, per_call)


def _check_label(config: ExperimentConfig, gan: Gan) -> None:
    label = config.samples.label
    if label is None:
        return
    if gan.conditional is None:
        raise ConfigError(
            f"config.samples.label is {label}, but config.dataset.labels is False, so "
            "the GAN is not conditional. Leave the label unset."
        )
    if label >= gan.conditional.classes:
        raise ConfigError(
            f"config.samples.label is {label}; it must be in 0 to "
            f"{gan.conditional.classes - 1}."
        )
