"""Replicas of a config: several seeds, or values of one of its fields."""

import math
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np

from wgan_jax.config.build import build_gan
from wgan_jax.config.registry import as_config_error
from wgan_jax.config.schema import options
from wgan_jax.errors import ConfigError
from wgan_jax.gan import Gan
from wgan_jax.training.init import check_gan


def build_replicas(
    config: ml_collections.ConfigDict,
    image_shape: tuple[int, ...],
    *,
    classes: int | None = None,
) -> tuple[Callable[[Any], Gan], np.ndarray, list[int]]:
    """The runs side by side that a config asks for.

    Each of ``sweep.values`` is run with each of ``training.replicas`` seeds,
    ``seed``, ``seed + 1`` and so on.

    Args:
        config: one experiment.
        image_shape: of one example.
        classes: of the dataset, for a conditional config.

    Returns:
        A function from the swept field's value to a Gan, the value of each
        replica as float32 ``[K]``, and the seed of each. One replica is an
        ordinary run; without a sweep the value is 0 and not read.

    Raises:
        ConfigError: as ``build_gan``, for any of the values; or if the field is
            not a number that the compiled step can take as an input.
    """
    sweep = options(config, "sweep")
    seeds = range(config.seed, config.seed + (config.training.get("replicas") or 1))
    if not sweep:
        gan = build_gan(config, image_shape, classes=classes)
        return lambda _: gan, np.zeros(len(seeds), np.float32), list(seeds)
    field, values = sweep.get("field"), sweep.get("values")
    numbers = isinstance(values, tuple) and all(
        isinstance(value, int | float) and math.isfinite(value) for value in values
    )
    # The program takes them as float32: values that meet there are one setting.
    if not numbers or not values or len({np.float32(v) for v in values}) < len(values):
        raise ConfigError(
            f"config.sweep.values is {values!r}; it must be a tuple of numbers, all "
            "different."
        )

    def build(value: Any) -> Gan:
        return build_gan(_with(config, field, value), image_shape, classes=classes)

    for value in values:
        as_config_error(check_gan, build(value))
    try:
        jax.eval_shape(lambda value: build(value) and None, 1.0)
    except jax.errors.JAXTypeError as error:
        raise ConfigError(
            f"config.sweep.field {field!r} shapes the program, so its values cannot "
            "run side by side; start one run for each."
        ) from error
    repeated = np.repeat(np.asarray(values, np.float32), len(seeds))
    return build, repeated, list(seeds) * len(values)


def _with(config: ml_collections.ConfigDict, field: Any, value: Any) -> Any:
    """A copy of the config in which one numeric field has another value."""
    *groups, last = str(field).split(".")
    level: Any = config
    for group in groups:
        level = level.get(group) if isinstance(level, type(config)) else None
    known = isinstance(level, type(config)) and last in level
    if not known or level.get_type(last) is not float:
        raise ConfigError(
            f"config.sweep.field is {field!r}; it must be the name of a field that "
            "holds a decimal number, such as 'penalty.weight'."
        )
    changed = config.copy_and_resolve_references()
    level = changed
    for group in groups:
        level = level[group]
    with changed.unlocked(), changed.ignore_type():
        level[last] = value
    return changed
