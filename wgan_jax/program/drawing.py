"""What the mode ``sample`` draws, and the files that it writes."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.config.rows import as_config_error
from wgan_jax.errors import ConfigError
from wgan_jax.gan import Gan
from wgan_jax.io.files import atomic_write
from wgan_jax.io.films import save_film
from wgan_jax.io.images import save_picture, to_uint8
from wgan_jax.latents import check_truncation, find_prior, latents
from wgan_jax.program.projecting import Targets, find_latents, read_targets
from wgan_jax.program.requests import Request
from wgan_jax.sampling import generate_batches, generate_from_latents
from wgan_jax.types import Array, Params, PyTree

_RATE = 24  # frames per second
_STEPS = 24  # frames from one latent of a walk to the next
_MANY = 5_000  # samples after which progress is told

Images = Callable[[Gan, Params, PyTree], Iterator[Array]]


class Drawn(NamedTuple):
    """What was drawn.

    Attributes:
        images: uint8 images, or floating-point points ``[n, ...]``; the rows of
            an interpolation one after the other, or the frames of a walk.
        arrays: the seed, the labels and others by name.
        shown: the images of the picture of all, with given ones among them.
        columns: images per row of that picture; None for a square.
    """

    images: np.ndarray
    arrays: dict[str, Any]
    shown: np.ndarray
    columns: int | None = None


def targets_of(
    request: Request, shape: tuple[int, ...], options: Mapping[str, Any]
) -> Targets | None:
    """Reads the pictures whose latents are searched for; None without.

    Args:
        request: what to draw.
        shape: H, W and C of the images of the generator.
        options: options of its dataset.

    Raises:
        ConfigError: if the generator does not draw square images.
        DataError: if a picture cannot be read.
    """
    if request.project is None:
        return None
    return read_targets(request.project, shape, options)


def draw(
    request: Request,
    gan: Gan,
    params: Params,
    model_state: PyTree,
    targets: Targets | None,
    *,
    tell: Callable[[str], None],
) -> Drawn:
    """Draws the samples of a request.

    Args:
        request: what to draw.
        gan: static definition of the GAN.
        params: parameters of the generator.
        model_state: other collections of the generator.
        targets: what ``targets_of`` returns.
        tell: function that prints one line of progress.

    Returns:
        The samples.

    Raises:
        ConfigError: if the GAN does not have the given labels or latents.
    """
    parts = (gan, params, model_state)
    arrays: dict[str, Any] = {"seed": request.seed}
    if targets is not None:
        found = find_latents(targets, *parts, seed=request.seed, tell=tell)
        shown, columns = found.beside(targets)
        return Drawn(found.images, arrays | found.arrays, shown, columns)
    labels = labels_of(request, gan)
    if labels is not None:
        arrays["labels"] = np.asarray(labels)
    images = _draw_images(request, *parts, labels, tell=tell)
    return Drawn(images, arrays, images, request.columns)


def _draw_images(
    request: Request,
    gan: Gan,
    params: Params,
    model_state: PyTree,
    labels: Array | None,
    *,
    tell: Callable[[str], None],
) -> np.ndarray:
    if request.columns is None and request.walk is None and request.latents is None:
        total = request.count
        batches = as_config_error(
            generate_batches,
            gan,
            params,
            model_state,
            jax.random.key(request.seed),
            total,
            labels=labels,
            truncation=request.truncation,
        )
    else:
        z = _path(request, gan)
        total = len(z)
        batches = as_config_error(
            generate_from_latents, gan, params, model_state, z, labels=labels
        )
    found, done, told = [], 0, 0
    for batch in batches:
        values = np.asarray(batch)
        found.append(to_uint8(values) if values.ndim == 4 else values)
        done += len(values)
        if total > _MANY and done - told >= _MANY:
            told = done
            tell(f"{done:,} of {total:,} samples")
    return np.concatenate(found)


def labels_of(request: Request, gan: Gan) -> Array | None:
    """Returns int32 labels of the samples that ``draw`` returns, or None.

    Args:
        request: what to draw.
        gan: static definition of the GAN.

    Raises:
        ConfigError: if the GAN is not conditional, or has fewer classes.
    """
    if gan.conditional is None:
        if request.labels is None:
            return None
        raise ConfigError(
            "this generator is not conditional, so --labels and config.samples.label "
            "must be unset."
        )
    classes = gan.conditional.classes
    chosen = request.labels or tuple(range(classes))
    if max(chosen) >= classes:
        raise ConfigError(
            f"the label is {max(chosen)}; it must be in 0 to {classes - 1}."
        )
    turns = itertools.islice(itertools.cycle(chosen), request.count)
    labels = jnp.array(list(turns), jnp.int32)
    if request.columns is not None:
        return jnp.repeat(labels, request.columns)
    # The class of a film does not change between two latents.
    return jnp.repeat(labels, _STEPS) if request.walk else labels


def write(
    request: Request,
    stem: Path,
    images: np.ndarray,
    picture: Callable[[], np.ndarray],
    about: Mapping[str, Any],
) -> list[Path]:
    """Writes samples.

    Args:
        request: what was drawn.
        stem: path of the files without their suffixes.
        images: uint8 images ``[n, H, W, C]``, or floating-point values.
        picture: function that returns all of them as one picture.
        about: other arrays of the ``.npz`` file by name.

    Returns:
        The files, or folders of files.

    Raises:
        ConfigError: if a file exists with other content.
        OSError: if a file cannot be written.
    """
    apart = {"png", "webp"} & set(request.formats)
    if images.ndim != 4 and (request.walk is not None or apart):
        raise ConfigError(
            "--walk and --format=png,webp need the images of a single run; use "
            "--format=grid,npz for replicas, and --format=npz for other examples."
        )
    if request.walk is not None:
        path = stem.with_name(f"{stem.name}.{request.walk}")
        _refuse(path)
        save_film(path, images, rate=_RATE)
        return [path]
    paths = {
        "grid": stem.with_name(f"{stem.name}.png"),
        "npz": stem.with_name(f"{stem.name}.npz"),
        "png": stem.with_name(f"{stem.name}_png"),
        "webp": stem.with_name(f"{stem.name}_webp"),
    }
    chosen = {name: paths[name] for name in request.formats}
    for path in chosen.values():
        _refuse(path)
    for name, path in chosen.items():
        if name == "grid":
            save_picture(path, picture())
        elif name == "npz":
            with atomic_write(path) as stream:
                np.savez(stream, images=images, **about)
        else:
            digits = len(str(len(images) - 1))
            for i, image in enumerate(images):
                save_picture(path / f"{i:0{digits}d}.{name}", image)
    return list(chosen.values())


def _refuse(path: Path) -> None:
    if path.exists():
        raise ConfigError(
            f"{path} exists; use another --output, or remove it to draw it again."
        )


def _path(request: Request, gan: Gan) -> Array:
    """Returns the latents of an interpolation or a walk, or the given ones."""

    def drawn(indices: Array) -> Array:
        if request.latents is not None:
            return jnp.asarray(request.latents)[indices % request.count]
        key = jax.random.key(request.seed)
        return latents(
            key,
            indices,
            size=gan.latent_size,
            truncation=request.truncation,
            prior=gan.prior,
        )

    as_config_error(check_truncation, request.truncation, gan.prior)
    if request.latents is not None:
        shape = request.latents.shape
        if shape[1] != gan.latent_size:
            raise ConfigError(
                f"--latents has latents of size {shape[1]}; this generator takes "
                f"{gan.latent_size}."
            )
    starts = jnp.arange(request.count)
    if request.columns is not None:
        parts = jnp.linspace(0.0, 1.0, request.columns, dtype=jnp.float32)
        first, last = drawn(2 * starts), drawn(2 * starts + 1)
    elif request.walk is not None:
        parts = jnp.arange(_STEPS, dtype=jnp.float32) / _STEPS
        first, last = drawn(starts), drawn((starts + 1) % request.count)
    else:
        return drawn(starts)
    rows = len(parts)
    t = jnp.tile(parts, request.count)[:, None]
    path = find_prior(gan.prior).path
    return path(jnp.repeat(first, rows, axis=0), jnp.repeat(last, rows, axis=0), t)
