"""Checks of the batch sizes of an experiment on the available devices."""

from jax.sharding import Mesh

from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import ConfigError
from wgan_jax.gan import Gan
from wgan_jax.parallel.sharding import check_divisible
from wgan_jax.training.single_examples import is_constant


def check_sizes(config: ExperimentConfig, mesh: Mesh, *, replicas: int) -> None:
    """Raises ConfigError if batches or replicas do not divide among the devices.

    Args:
        config: an experiment.
        mesh: device mesh.
        replicas: number of replicas.

    Raises:
        ConfigError: if a size is not divisible. The message names valid sizes.
    """
    training = config.training
    sizes = {
        f"config.training.{name}": size
        for name in ("batch_size", "generator_batch_size")
        if (size := getattr(training, name))
    }
    shared = {"the number of replicas": replicas} if replicas > 1 else sizes
    as_config_error(check_divisible, mesh, **shared)
    parts = training.microbatches
    pieces = parts if replicas > 1 else parts * mesh.size
    for name, size in sizes.items():
        if size % pieces:
            raise ConfigError(
                f"{name} is {size}, which is not divisible into "
                f"config.training.microbatches={parts} parts on {pieces // parts} "
                f"device(s). Use a multiple of {pieces}."
            )


def check_single_examples(config: ExperimentConfig, gan: Gan) -> None:
    """Raises ConfigError if a network is constant for the examples of one pass.

    Args:
        config: an experiment.
        gan: its GAN.

    Raises:
        ConfigError: if a network gets one example at a time, and batch norm makes
            its output the same for all inputs. The message names the fields.
    """
    training = config.training
    parts, separate = training.microbatches, training.generator_batch_size
    passes = [(name, "batch_size", parts) for name in ("generator", "critic")]
    if separate:
        passes += [
            (name, "generator_batch_size", parts) for name in ("generator", "critic")
        ]
    for name, field, split in passes:
        size = getattr(training, field)
        if size == split and as_config_error(is_constant, gan, name):
            also = f" and config.training.microbatches is {split}" if split > 1 else ""
            raise ConfigError(
                f"config.training.{field} is {size}{also}, so the {name} gets 1 "
                "example at a time, and its batch norm makes the output the same for "
                f"all inputs. Use at least {2 * split}, or a {name} without batch norm."
            )
