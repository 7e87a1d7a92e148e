"""``--mode=sample --pretrained=NAME``: samples from a trained generator."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from wgan_jax import zoo
from wgan_jax.config.experiment import ExperimentConfig
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.config.resolve import resolve
from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import ConfigError, choices
from wgan_jax.io.images import are_images, image_grid
from wgan_jax.program.console import Log, finish
from wgan_jax.program.drawing import draw, targets_of, write
from wgan_jax.program.pictures import GRID_LIMIT
from wgan_jax.program.requests import read_request, suited

_FIELDS = ("samples.count", "samples.seed", "samples.label")


def sample_pretrained(
    name: str,
    overrides: Sequence[tuple[str, str]],
    *,
    folder: Path,
    command: str,
    log: Log,
    **options: str,
) -> int:
    """Draws samples from a trained generator, as ``sample`` does from a run.

    Args:
        name: one of ``zoo.names()``, or an exported folder.
        overrides: names and texts of config fields; only the number, the seed
            and the label of the samples can be set.
        folder: folder to write to.
        command: command line, stored in the file of the array.
        log: function that prints one line.
        **options: flags of ``help.DRAWING``.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if the name is unknown, an override or a flag is invalid, or
            a file exists.
        ArchiveError: if the file of the generator is damaged.
    """
    generator = as_config_error(zoo.load, name)
    fields = _samples(generator.card["config"], overrides).samples
    request = read_request(
        options, count=fields.count, seed=fields.seed, label=fields.label
    )
    parts = (generator.gan, generator.params, generator.model_state)
    card = generator.card
    shape = tuple(card["data"]["example_shape"])
    if not are_images(shape):
        request = suited(request, options, shape)
    targets = targets_of(request, shape, card["config"]["dataset"])
    drawn = draw(request, *parts, targets, tell=log)

    def picture() -> np.ndarray:
        shown = drawn.shown if drawn.columns else drawn.shown[:GRID_LIMIT]
        return image_grid(shown, columns=drawn.columns, padding=4)

    about: dict[str, Any] = {"command": command, **drawn.arrays}
    stem = folder / f"{generator.name}_{request.title}"
    paths = write(request, stem, drawn.images, picture, about)
    told = ", ".join(map(str, paths))
    count = len(drawn.images)
    noun = "sample" if count == 1 else "samples"
    line = f"{count:,} {noun} of the trained generator {generator.name}: {told}."
    finish(log, line, *paths)
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
