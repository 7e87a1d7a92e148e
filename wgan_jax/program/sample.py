"""``--mode=sample``: samples from a checkpoint."""

from typing import Any

import jax
import numpy as np

from wgan_jax.config.resolve import Config, resolve
from wgan_jax.config.rows import as_config_error
from wgan_jax.io.images import to_uint8
from wgan_jax.program.pictures import draw, tile, write_samples
from wgan_jax.program.restoring import restore_checkpoint, with_standing_statistics
from wgan_jax.program.setup import Experiment, Log, prepare
from wgan_jax.program.workdir import Workdir
from wgan_jax.sampling import sample as draw_samples
from wgan_jax.sampling import sample_labels


def sample(
    config: Config,
    workdir: Workdir,
    *,
    command: str,
    log: Log,
    checkpoint: str = "latest",
) -> int:
    """Draws ``config.samples.count`` examples and writes a picture and an array.

    The EMA weights of the generator are used if the run has them. Example i
    depends only on ``config.samples.seed`` and i. In a conditional run its class
    is ``config.samples.label``, or i modulo the number of classes. With replicas,
    the array has a leading axis of replicas, whose names are in ``replicas``.

    Args:
        config: config of the run.
        workdir: folder of the run.
        command: command line, stored in the file of the array.
        log: function that prints one line.
        checkpoint: ``latest``, ``best`` or an iteration.

    Returns:
        Exit code 0.

    Raises:
        ValueError: if there is a mistake in the config or the data.
        WorkdirError: if the folder does not belong to this run.
        CheckpointError: if no suitable checkpoint exists.
    """
    config = workdir.settled(resolve(config))
    workdir.check(config)
    experiment = prepare(config, log=log, data=workdir.data())
    state, step = restore_checkpoint(workdir, experiment, checkpoint, log=log)
    key, label = jax.random.key(config.samples.seed), config.samples.label
    drawn = [
        np.asarray(
            as_config_error(
                draw_samples,
                gan,
                with_standing_statistics(config, gan, arrays),
                key,
                config.samples.count,
                use_ema=gan.ema_decay is not None,
                labels=label,
            )
        )
        for _, gan, arrays in experiment.runs(state)
    ]
    suffix = "" if label is None else f"_label{label}"
    name = f"sample_{step:08d}_seed{config.samples.seed}{suffix}"
    stem = workdir.samples / name
    pictures = [draw(examples, experiment.source) for examples in drawn]
    examples = np.stack(drawn) if experiment.is_replicated else drawn[0]
    values = to_uint8(examples) if drawn[0].ndim == 4 else examples
    about: dict[str, Any] = {
        "step": step,
        "seed": config.samples.seed,
        "command": command,
    }
    about |= _labels(experiment, label)
    write_samples(stem, tile(pictures), values, about)
    log(
        f"{config.samples.count} samples of iteration {step}: "
        f"{stem.with_suffix('.png')} and {stem.with_suffix('.npz')} (array 'images', "
        f"{values.dtype})."
    )
    return 0


def _labels(experiment: Experiment, label: int | None) -> dict[str, Any]:
    """Returns the classes of the images and the names of the replicas, if any."""
    count = experiment.config.samples.count
    classes = sample_labels(experiment.gan, count, label)
    found: dict[str, Any] = {} if classes is None else {"labels": np.asarray(classes)}
    if experiment.is_replicated:
        found["replicas"] = np.array(experiment.names)
    return found
