"""``--mode=sample``: samples from a checkpoint."""

from pathlib import Path
from typing import Any

import numpy as np

from wgan_jax.config.resolve import Config, resolve
from wgan_jax.errors import ConfigError
from wgan_jax.program.console import Log, finish
from wgan_jax.program.drawing import (
    draw,
    labels_of,
    targets_of,
    write,
)
from wgan_jax.program.pictures import are_drawable, grid, tile
from wgan_jax.program.requests import read_request, suited
from wgan_jax.program.restoring import restore_checkpoint, with_standing_statistics
from wgan_jax.program.setup import prepare
from wgan_jax.program.trained import choose_weights
from wgan_jax.program.workdir import Workdir
from wgan_jax.sampling import generator_weights


def sample(
    config: Config,
    workdir: Workdir,
    *,
    command: str,
    log: Log,
    checkpoint: str = "latest",
    weights: str | None = None,
    output: str | None = None,
    **options: str,
) -> int:
    """Draws samples and writes them as pictures, as an array or as a film.

    Samples that cannot be drawn as a picture are written as an array only.

    Example i depends only on ``config.samples.seed`` and i. In a conditional run
    its class is ``config.samples.label``, or one of ``labels`` in turn, or i
    modulo the number of classes. With replicas, the array has a leading axis of
    replicas, whose names are in ``replicas``.

    Args:
        config: config of the run.
        workdir: folder of the run.
        command: command line, stored in the file of the array.
        log: function that prints one line.
        checkpoint: ``latest``, ``best`` or an iteration.
        weights: ``ema`` or ``live``; None for the EMA if there is one.
        output: folder to write to; None for that of the run.
        **options: flags of ``help.DRAWING``.

    Returns:
        Exit code 0.

    Raises:
        ConfigError: if there is a mistake in the config or the flags, or a file
            exists.
        WorkdirError: if the folder does not belong to this run.
        CheckpointError: if no suitable checkpoint exists.
    """
    config = workdir.settled(resolve(config))
    workdir.check(config)
    fields = config.samples
    request = read_request(
        options, count=fields.count, seed=fields.seed, label=fields.label
    )
    kind = choose_weights(weights, has_ema=config.training.has_ema)
    experiment = prepare(config, log=log, data=workdir.data())
    shape, dataset = experiment.source.example_shape, config.dataset
    labels_of(request, experiment.gan)  # before the checkpoint is read
    if not are_drawable(shape):
        request = suited(request, options, shape)
    if request.project is not None and experiment.is_replicated:
        raise ConfigError("--project needs a single run, and not replicas.")
    targets = targets_of(request, shape, dataset.options)
    state, step = restore_checkpoint(workdir, experiment, checkpoint, log=log)
    drawn = []
    for _, gan, arrays in experiment.runs(state):
        standing = with_standing_statistics(config, gan, arrays)
        params, model_state = generator_weights(standing, use_ema=kind == "ema")
        drawn.append(draw(request, gan, params, model_state, targets, tell=log))
    stem = Path(output) if output else workdir.samples
    stem /= f"sample_{step:08d}_{kind}_{request.title}"

    def picture() -> np.ndarray:
        source = experiment.source
        return tile([grid(one.shown, source, columns=one.columns) for one in drawn])

    images = drawn[0].images
    about: dict[str, Any] = {"step": step, "weights": kind, "command": command}
    about |= drawn[0].arrays
    if experiment.is_replicated:
        images = np.stack([one.images for one in drawn])
        about["replicas"] = np.array(experiment.names)
    paths = write(request, stem, images, picture, about)
    told = ", ".join(map(str, paths))
    count = len(drawn[0].images)
    noun = "sample" if count == 1 else "samples"
    line = f"{count:,} {noun} of iteration {step} ({kind} weights): {told}."
    finish(log, line, *paths)
    return 0
