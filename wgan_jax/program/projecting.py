"""``--project=FILE``: latents whose images are closest to given pictures."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import jax
import numpy as np

from wgan_jax.data.files import (
    PictureFile,
    content_of,
    is_picture,
    read_pictures,
    unreadable_error,
)
from wgan_jax.data.pictures import Conversion, decode
from wgan_jax.errors import ConfigError, DataError
from wgan_jax.evaluation.projection import project
from wgan_jax.gan import Gan
from wgan_jax.io.images import are_images, to_uint8
from wgan_jax.types import Params, PyTree

_TOGETHER = 16  # pictures in one search
_COLUMNS = 8  # pictures in one row, half of them given ones


class Targets(NamedTuple):
    """Given pictures.

    Attributes:
        names: their names.
        images: uint8 ``[n, S, S, C]``.
    """

    names: list[str]
    images: np.ndarray


class Projected(NamedTuple):
    """Images of a generator that are closest to given pictures.

    Attributes:
        images: uint8 ``[n, S, S, C]``.
        arrays: their latents ``[n, Z]``, the labels ``[n]`` of a conditional
            generator, the root mean square errors ``[n]``, and the names of the
            pictures, by name.
    """

    images: np.ndarray
    arrays: dict[str, np.ndarray]

    def beside(self, targets: Targets) -> tuple[np.ndarray, int]:
        """Returns each picture and its image in turn, and the number in one row."""
        pairs = np.stack([targets.images, self.images], 1)
        shown = pairs.reshape(-1, *self.images.shape[1:])
        return shown, min(_COLUMNS, len(shown))


def read_targets(
    path: Path, shape: tuple[int, ...], options: Mapping[str, Any]
) -> Targets:
    """Reads pictures in the form of a generator's images.

    Args:
        path: a picture, or a folder or an archive of pictures.
        shape: H, W and C of the images.
        options: options of the dataset; those of ``Conversion`` are used.

    Returns:
        The pictures.

    Raises:
        ConfigError: if the generator does not draw squares.
        DataError: if a picture cannot be read, or there are none.
    """
    if not are_images(shape) or shape[0] != shape[1]:
        raise ConfigError(
            f"--project needs a generator of square images; this one draws {shape}."
        )
    known = {field.name for field in fields(Conversion)} - {"size", "channels"}
    kept = {name: value for name, value in options.items() if name in known}
    channels = cast(Literal[1, 3, 4], shape[2])
    conversion = Conversion(size=shape[0], channels=channels, **kept)
    names, images = [], []
    for name, content in _contents(path):
        try:
            images.append(decode(content, conversion))
        except ValueError as error:
            if path.is_file() and is_picture(path.name):
                raise DataError(f"{path} cannot be used: {error}.") from error
            raise unreadable_error(path, name, error) from error
        names.append(name)
    if not images:
        raise DataError(f"{path} has no pictures.")
    return Targets(names, np.stack(images))


def find_latents(
    targets: Targets,
    gan: Gan,
    params: Params,
    model_state: PyTree,
    *,
    seed: int,
    tell: Callable[[str], None],
) -> Projected:
    """Finds latents whose images are closest to pictures.

    Args:
        targets: the pictures.
        gan: static definition of the GAN.
        params: parameters of the generator.
        model_state: other collections of the generator.
        seed: seed of the latents from which the search starts.
        tell: function that prints one line of progress.

    Returns:
        The images, their latents and errors.
    """
    # In a conditional GAN, four starts for each class.
    starts = 16 if gan.conditional is None else 4 * gan.conditional.classes
    count, parts = len(targets.names), []
    for first in range(0, count, _TOGETHER):
        wanted = targets.images[first : first + _TOGETHER] / np.float32(127.5) - 1
        key = jax.random.fold_in(jax.random.key(seed), first)
        parts.append(project(gan, params, model_state, wanted, key, starts=starts))
        if count > _TOGETHER:
            tell(f"{first + len(wanted):,} of {count:,} pictures")
    arrays = {
        name: np.concatenate([np.asarray(getattr(part, name)) for part in parts])
        for name in ("latents", "labels", "errors", "images")
        if getattr(parts[0], name) is not None
    }
    images = to_uint8(arrays.pop("images"))
    return Projected(images, arrays | {"names": np.array(targets.names)})


def _contents(path: Path) -> Iterator[PictureFile]:
    if path.is_file() and is_picture(path.name):
        return iter([PictureFile(path.name, content_of(path))])
    return read_pictures(path)
