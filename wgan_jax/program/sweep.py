"""Replicas of an experiment: several seeds, or several values of one field."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from wgan_jax.config.build import build_gan
from wgan_jax.config.experiment import with_value
from wgan_jax.config.resolve import Config, resolve
from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import ConfigError
from wgan_jax.gan import Gan
from wgan_jax.training.init import check_gan


def build_replicas(
    config: Config,
    image_shape: tuple[int, ...],
    *,
    classes: int | None = None,
) -> tuple[Callable[[Any], Gan], np.ndarray, list[int]]:
    """Returns the replicas of a config, which are trained together.

    Each of ``sweep.values`` is trained with each of ``training.replicas`` seeds:
    ``seed``, ``seed + 1`` and so on.

    Args:
        config: config of one experiment.
        image_shape: shape of one example.
        classes: number of classes, for a conditional config.

    Returns:
        A function from the value of the swept field to a Gan, the value of each
        replica as float32 ``[K]``, and the seed of each replica. With one
        replica, this is an ordinary run. Without a sweep, the values are 0 and
        unused.

    Raises:
        ConfigError: as for ``build_gan``, for any of the values; or if the field
            cannot be an input of the compiled step.
    """
    config = resolve(config)
    sweep = config.sweep
    seeds = range(config.seed, config.seed + config.training.replicas)
    if sweep is None:
        gan = build_gan(config, image_shape, classes=classes)
        return lambda _: gan, np.zeros(len(seeds), np.float32), list(seeds)

    def build(value: Any) -> Gan:
        changed = with_value(config, sweep.field, value)
        return build_gan(changed, image_shape, classes=classes)

    for value in sweep.values:
        as_config_error(check_gan, build(value))
    try:
        jax.eval_shape(lambda value: build(value) and None, 1.0)
    except jax.errors.JAXTypeError as error:
        raise ConfigError(
            f"config.sweep.field is {sweep.field!r}, which changes the compiled "
            "program, so its values cannot be trained together. Start a separate run "
            "for each."
        ) from error
    repeated = np.repeat(np.asarray(sweep.values, np.float32), len(seeds))
    return build, repeated, list(seeds) * len(sweep.values)
