"""``--mode=sample``: images from a run's last checkpoint."""

import jax
import ml_collections
import numpy as np

from wgan_jax.binding import refine
from wgan_jax.checkpoint import CheckpointError, Checkpoints
from wgan_jax.experiment import build_gan, build_source, check_config
from wgan_jax.gan import abstract_state
from wgan_jax.images import save_png, to_uint8
from wgan_jax.program.pictures import draw
from wgan_jax.program.train import Say
from wgan_jax.program.workdir import Workdir
from wgan_jax.sampling import sample as draw_samples
from wgan_jax.sharding import make_mesh


def sample(
    config: ml_collections.ConfigDict, workdir: Workdir, *, command: str, say: Say
) -> int:
    """Draws ``config.samples.count`` examples and writes a picture and an array.

    The generator's average is used where the run keeps one. Example i depends
    on ``config.samples.seed`` and i alone.

    Args:
        config: the run's.
        workdir: the run's folder.
        command: as the user typed it; kept in the array's file.
        say: prints one line for the user.

    Returns:
        Exit code 0.

    Raises:
        ValueError: a mistake in the config or data, in a sentence.
        WorkdirError: the folder belongs to something else.
        CheckpointError: there is no checkpoint of use.
    """
    check_config(config)
    workdir.check(config)
    missing = f"{workdir.path} has no checkpoint to sample from; train first."
    if not workdir.checkpoints.is_dir():
        raise CheckpointError(missing)
    source = build_source(config)
    gan = build_gan(config, source.example_shape)
    target = refine(abstract_state, gan, make_mesh())
    with Checkpoints(
        workdir.checkpoints, keep=config.checkpoint.keep, read_only=True, warn=say
    ) as checkpoints:
        restored = checkpoints.restore(target)
    if restored is None:
        raise CheckpointError(missing)
    state, _, step = restored
    key = jax.random.key(config.samples.seed)
    examples = np.asarray(
        draw_samples(
            gan, state, key, config.samples.count, use_ema=gan.ema_decay is not None
        )
    )
    stem = workdir.samples / f"sample_{step:08d}_seed{config.samples.seed}"
    workdir.samples.mkdir(exist_ok=True)
    save_png(stem.with_suffix(".png"), draw(examples, source))
    values = to_uint8(examples) if examples.ndim == 4 else examples
    np.savez(
        stem.with_suffix(".npz"),
        images=values,
        step=step,
        seed=config.samples.seed,
        command=command,
    )
    say(
        f"{len(examples)} samples of iteration {step}: {stem.with_suffix('.png')} and "
        f"{stem.with_suffix('.npz')} (array 'images', {values.dtype})."
    )
    return 0
