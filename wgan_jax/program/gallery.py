"""Pictures of the report that training draws once: real examples, classes, paths."""

from collections.abc import Collection
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.data import Source
from wgan_jax.gan import Gan, GanState
from wgan_jax.io.images import are_images, image_grid, save_png, to_uint8
from wgan_jax.latents import latents
from wgan_jax.parallel import multiprocess
from wgan_jax.program.pictures import GRID_LIMIT, grid
from wgan_jax.program.restoring import with_standing_statistics
from wgan_jax.program.setup import Experiment
from wgan_jax.sampling import (
    generate_from_latents,
    generator_weights,
    interpolations,
)
from wgan_jax.types import PRNGKey

REAL = "real.png"
_KINDS = ("interpolation", "classes")  # that are drawn at the end of a run
_ARC_ROWS, _ARC_COLUMNS = 8, 10
_CLASS_ROWS, _CLASS_COLUMNS = 20, 10


def draw_real(experiment: Experiment, folder: Path) -> None:
    """Draws real examples in the arrangement of the samples.

    In a conditional run, the classes are in the same places too. Only images are
    drawn: the samples have points in the plane in the background.

    Args:
        experiment: experiment whose source has its examples.
        folder: folder of the samples.
    """
    source, fields = experiment.source, experiment.config.samples
    if not are_images(source.example_shape):
        return
    count = min(fields.count, GRID_LIMIT, len(source))
    order = np.random.default_rng(fields.seed).permutation(len(source))
    if experiment.gan.conditional is not None:
        order = _by_class(order, source, count, label=fields.label)
    examples = np.asarray(source.images[order[:count]])
    save_png(folder / REAL, grid(examples, source))


def draw_classes(experiment: Experiment, state: GanState, folder: Path) -> None:
    """Draws samples of each class, from the same latents.

    All processes must call this function together. The primary process writes the
    file. Only images are drawn, if there are classes.

    Args:
        experiment: experiment of the state.
        state: state of a run or of replicas; the first replica is drawn.
        folder: folder of the samples.
    """
    _, gan, arrays = next(experiment.runs(state))
    if gan.conditional is None or not are_images(experiment.source.example_shape):
        return
    rows = min(gan.conditional.classes, _CLASS_ROWS)
    key = jax.random.key(experiment.config.samples.seed)
    z = latents(key, jnp.arange(_CLASS_COLUMNS), size=gan.latent_size, prior=gan.prior)
    standing = with_standing_statistics(experiment.config, gan, arrays)
    weights = generator_weights(standing, use_ema=gan.ema_decay is not None)
    batches = generate_from_latents(
        gan,
        *weights,
        jnp.tile(z, (rows, 1)),
        labels=jnp.repeat(jnp.arange(rows), _CLASS_COLUMNS),
    )
    images = np.concatenate([np.asarray(batch) for batch in batches])
    _write(folder, "classes", arrays, images, columns=_CLASS_COLUMNS)


def draw_interpolation(
    experiment: Experiment, gan: Gan, arrays: GanState, key: PRNGKey, folder: Path
) -> None:
    """Draws paths between pairs of latents.

    All processes must call this function together. The primary process writes the
    file. Only images are drawn.

    Args:
        experiment: experiment of the run.
        gan: static definition of the GAN.
        arrays: state of a single run.
        key: PRNG key of the latents.
        folder: folder of the samples.
    """
    if not are_images(experiment.source.example_shape):
        return
    images = interpolations(
        gan,
        arrays,
        key,
        rows=_ARC_ROWS,
        columns=_ARC_COLUMNS,
        use_ema=gan.ema_decay is not None,
    )
    _write(folder, "interpolation", arrays, np.asarray(images), columns=_ARC_COLUMNS)


def draw_missing(
    experiment: Experiment, state: GanState, folder: Path, *, step: int
) -> None:
    """Draws the pictures of the end of a run that its folder lacks.

    Evaluations draw some of them. All processes must call this function together.
    The primary process decides what is missing.

    Args:
        experiment: experiment of the state.
        state: state of a run or of replicas; the first replica is drawn.
        folder: folder of the samples.
        step: iteration of the state.
    """
    has_classes = experiment.gan.conditional is not None
    missing = missing_kinds(folder, has_classes=has_classes, step=step)
    decided = [
        kind
        for kind in _KINDS
        if multiprocess.broadcast_from_primary(float(kind in missing))
    ]
    draw_kinds(experiment, state, folder, decided)


def missing_kinds(
    folder: Path, *, has_classes: bool, step: int | None = None
) -> list[str]:
    """Returns the kinds of pictures of the end of a run that its folder lacks.

    Args:
        folder: folder of the samples.
        has_classes: whether the run is conditional.
        step: iteration of the pictures; None if those of any iteration suffice.
    """
    name = "*" if step is None else f"{step:08d}"
    return [
        kind
        for kind in _KINDS
        if (has_classes or kind != "classes")
        and not any(folder.glob(f"{kind}_{name}.png"))
    ]


def draw_kinds(
    experiment: Experiment, state: GanState, folder: Path, kinds: Collection[str]
) -> None:
    """Draws some kinds of pictures of the end of a run.

    All processes must call this function together.

    Args:
        experiment: experiment of the state.
        state: state of a run or of replicas; the first replica is drawn.
        folder: folder of the samples.
        kinds: kinds as returned by ``missing_kinds``.
    """
    if "interpolation" in kinds:
        _, gan, arrays = next(experiment.runs(state))
        key = jax.random.key(experiment.config.samples.seed)
        draw_interpolation(experiment, gan, arrays, key, folder)
    if "classes" in kinds:
        draw_classes(experiment, state, folder)


def _by_class(
    order: np.ndarray, source: Source, count: int, *, label: int | None
) -> np.ndarray:
    """Returns indices of examples whose classes are those of the samples."""
    assert source.labels is not None
    assert source.num_classes is not None
    shuffled = source.labels[order]
    members = [order[shuffled == c] for c in range(source.num_classes)]
    everyone = order  # in place of a class without examples
    found = []
    for i in range(count):
        c = i % source.num_classes if label is None else label
        own = members[c] if len(members[c]) else everyone
        turn = i // source.num_classes if label is None else i
        found.append(own[turn % len(own)])
    return np.array(found)


def _write(
    folder: Path, kind: str, arrays: GanState, images: np.ndarray, *, columns: int
) -> None:
    if multiprocess.is_primary():
        picture = image_grid(to_uint8(images), columns=columns, padding=2)
        save_png(folder / f"{kind}_{int(arrays.step):08d}.png", picture)
