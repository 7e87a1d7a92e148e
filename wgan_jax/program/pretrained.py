"""``--mode=sample --pretrained=NAME``: samples from a trained generator."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

from wgan_jax import zoo
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.loading import apply_overrides
from wgan_jax.config.resolve import resolve
from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import ConfigError, choices
from wgan_jax.io.images import image_grid, to_uint8
from wgan_jax.program.pictures import GRID_LIMIT, write_samples
from wgan_jax.program.setup import Log
from wgan_jax.sampling import sample_labels

_FIELDS = ("samples.count", "samples.seed", "samples.label")


def sample_pretrained(
    name: str,
    overrides: Sequence[tuple[str, str]],
    *,
    folder: Path,
    command: str,
    log: Log,
) -> int:
    """Draws samples from a trained generator and writes a picture and an array.

    Args:
        name: one of ``zoo.names()``, or an exported folder.
        overrides: names and texts of config fields; only the number, the seed
            and the label of the samples can be set.
        folder: folder of the two files.
        command: command line, stored in the file of the array.
        log: function that prints one line.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if the name is unknown, or an override is invalid.
        ArchiveError: if the file of the generator is damaged.
    """
    generator = as_config_error(zoo.load, name)
    fields = _samples(generator.card["config"], overrides).samples
    draw = as_config_error(
        generator.sample,
        jax.random.key(fields.seed),
        fields.count,
        labels=fields.label,
    )
    images = to_uint8(np.asarray(draw))
    suffix = "" if fields.label is None else f"_label{fields.label}"
    stem = folder / f"{generator.name}_seed{fields.seed}{suffix}"
    about: dict[str, Any] = {"seed": fields.seed, "command": command}
    labels = sample_labels(generator.gan, fields.count, fields.label)
    if labels is not None:
        about["labels"] = np.asarray(labels)
    picture = image_grid(images[:GRID_LIMIT], padding=4)
    write_samples(stem, picture, images, about)
    log(
        f"{fields.count} samples of the trained generator {generator.name}: "
        f"{stem.with_suffix('.png')} and {stem.with_suffix('.npz')} (array 'images', "
        f"{images.dtype})."
    )
    return 0


def _samples(
    config: dict[str, Any], overrides: Sequence[tuple[str, str]]
) -> ExperimentConfig:
    for field, _ in overrides:
        if field not in _FIELDS:
            raise ConfigError(
                f"config.{field} cannot be set for a trained generator; "
                f"{choices(_FIELDS)}."
            )
    changed = ml_collections.ConfigDict(config)
    apply_overrides(changed, overrides)
    return resolve(changed)
