"""A run as Python objects: its experiment, state, key and generator."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from wgan_jax.checkpointing.targets import as_target
from wgan_jax.config.build import build_pipeline, build_source
from wgan_jax.config.experiment import ExperimentConfig, with_value
from wgan_jax.config.resolve import resolve
from wgan_jax.data import Pipeline
from wgan_jax.errors import ConfigError
from wgan_jax.gan import Gan, GanState
from wgan_jax.program.restoring import check_choice, read_checkpoint
from wgan_jax.program.sweep import build_replicas
from wgan_jax.program.trained import choose_weights, generator_of
from wgan_jax.program.workdir import Workdir, changed_switches
from wgan_jax.training.init import abstract_state
from wgan_jax.training.replicas import abstract_replicas, replica
from wgan_jax.types import Array, PRNGKey
from wgan_jax.zoo import Pretrained

_IMPL = "jax_default_prng_impl"
_warn = logging.getLogger(__name__).warning


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A run that was read from its folder.

    Attributes:
        path: the folder.
        config: the experiment.
        gan: static definition of the GAN.
        state: training state of the checkpoint.
        key: PRNG key of the run, for the training steps.
        step: iteration of the checkpoint.
        generator: the generator with the chosen weights, and its model card.
    """

    path: Path
    config: ExperimentConfig
    gan: Gan
    state: GanState
    key: PRNGKey
    step: int
    generator: Pretrained

    def sample(
        self,
        key: PRNGKey,
        n: int,
        *,
        labels: Array | int | None = None,
        truncation: float | None = None,
        batch_size: int = 64,
    ) -> Array:
        """Returns n images of the generator, as ``zoo.Pretrained.sample``.

        Args:
            key: PRNG key of the whole collection; ``jax.random.key(S)`` gives the
                images of ``wgan-jax sample --config.samples.seed=S``.
            n: number of images, >= 1.
            labels: one class for all images, or integers ``[n]``.
            truncation: bound of the absolute values of the latents, above 0.
            batch_size: images computed at once.

        Returns:
            Floating-point ``[n, ...]``, in [-1, 1] for image networks.

        Raises:
            ValueError: if n is below 1, or the generator does not have the given
                labels.
        """
        return self.generator.sample(
            key, n, labels=labels, truncation=truncation, batch_size=batch_size
        )

    def pipeline(self) -> Pipeline:
        """Loads the dataset and returns the batches of the run by iteration.

        Returns:
            The pipeline; ``pipeline.batch(t)`` is the batch of iteration t for
            ``train_step``.

        Raises:
            DataError: if the dataset is unavailable.
            WorkdirError: if its examples differ from those of the run.
        """
        source = build_source(self.config)
        Workdir(self.path).check_data(source.record())
        return build_pipeline(self.config, source, seed=self.config.seed)


def load_run(
    workdir: str | os.PathLike[str],
    checkpoint: str | int = "latest",
    *,
    weights: str | None = None,
    replica: int | None = None,
    mesh: Mesh | None = None,
) -> Run:
    """Reads a run from its folder, without its dataset.

    ``Run.key`` has the PRNG implementation of the run. Other switches of JAX that
    differ from those of the run are logged as a warning.

    Args:
        workdir: folder that ``wgan-jax train`` wrote. The run may still be
            training.
        checkpoint: ``latest``, ``best`` (by ``config.evaluation.best_by``), or an
            iteration.
        weights: weights of ``Run.generator``: ``ema`` or ``live``; None for the
            EMA if there is one.
        replica: index of the replica, for a run with several.
        mesh: device mesh of the state, as for ``make_train_step``; None for the
            default device.

    Returns:
        The run.

    Raises:
        ConfigError: if an argument or the config of the run is invalid.
        WorkdirError: if the folder is not that of a run.
        CheckpointError: if there is no such checkpoint, or it cannot be read.
    """
    which, folder = str(checkpoint), Workdir(workdir)
    check_choice(which, name="checkpoint")
    record = folder.record()
    config = folder.settled(resolve(record["config"]))
    kind = choose_weights(weights, has_ema=config.training.has_ema, name="weights")
    switches = folder.switches()
    impl = switches.pop(_IMPL, getattr(jax.config, _IMPL))
    _warn_of_switches(folder, switches)
    with jax.default_prng_impl(impl):
        gan, seed, state, step = _restored(folder, config, record, which, replica, mesh)
        own = with_value(config, "seed", seed)
        generator = generator_of(own, gan, state, folder, {}, step=step, weights=kind)
        return Run(
            path=folder.path,
            config=own,
            gan=gan,
            state=state,
            key=jax.random.key(seed),
            step=step,
            generator=generator,
        )


def _warn_of_switches(folder: Workdir, switches: dict[str, Any]) -> None:
    """Warns of switches of JAX that differ, because a library must not set them."""
    changed = changed_switches(switches)
    if changed:
        _warn(
            "%s began with other switches of JAX, so that training and samples differ "
            "(%s). Set them by jax.config.update before load_run.",
            folder.path,
            ", ".join(changed),
        )


def _restored(
    folder: Workdir,
    config: ExperimentConfig,
    record: dict[str, Any],
    which: str,
    index: int | None,
    mesh: Mesh | None,
) -> tuple[Gan, int, GanState, int]:
    """Returns the Gan, the seed, the state and the iteration of a run or a replica."""
    shape, classes = record["data"]["example_shape"], record["data"]["num_classes"]
    gan_of, settings, seeds = build_replicas(config, tuple(shape), classes=classes)
    count = len(seeds)
    if count == 1 and index not in (None, 0):
        raise ConfigError(f"replica is {index}, but {folder.path} has a single run.")
    if count > 1 and (index is None or not 0 <= index < count):
        given = "is missing" if index is None else f"is {index}"
        raise ConfigError(
            f"replica {given}, but {folder.path} has {count} replicas; it must be in "
            f"0 to {count - 1}."
        )
    k = index or 0
    gan = gan_of(float(settings[k]))
    placement = config.training.placement if mesh else "replicated"
    own = as_target(abstract_state(gan, mesh, placement=placement))
    if count == 1:
        return gan, seeds[k], *read_checkpoint(folder, own, which, log=_warn)
    target = abstract_replicas(gan_of, settings=settings)
    several, step = read_checkpoint(folder, target, which, log=_warn)
    places = jax.tree.map(lambda x: x.sharding, own)
    return gan, seeds[k], jax.device_put(replica(several, k), places), step
