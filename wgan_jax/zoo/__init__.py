"""Trained generators that come with the package.

    from wgan_jax import zoo
    images = zoo.load("digits").sample(jax.random.key(0), 64)

Each is a file ``NAME.safetensors`` of half-precision weights and a model card
``NAME.md`` in this folder. ``benchmarks/recipes/pack.py`` writes them from a run.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from wgan_jax.config.build import build_gan
from wgan_jax.config.experiment import with_value
from wgan_jax.config.resolve import resolve
from wgan_jax.errors import ArchiveError, unknown
from wgan_jax.gan import Gan
from wgan_jax.io.files import expanded
from wgan_jax.io.weights import load_weights, unflatten
from wgan_jax.sampling import generate_batches, sample_labels
from wgan_jax.training.init import abstract_state
from wgan_jax.types import Array, PRNGKey, PyTree

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Pretrained:
    """Trained generator.

    Attributes:
        name: its name.
        gan: static definition of the GAN that it was trained in.
        params: parameters of the generator (EMA).
        model_state: other collections of the generator, such as batch
            statistics.
        card: facts about its training: ``config`` (all settings), ``data``,
            ``step``, ``scores``, ``command``, ``license``, and others.
    """

    name: str
    gan: Gan
    params: PyTree
    model_state: PyTree
    card: dict[str, Any]

    @property
    def latent_size(self) -> int:
        """Z, the size of a latent."""
        return self.gan.latent_size

    @property
    def class_names(self) -> list[str]:
        """Names of the classes of a conditional generator; empty for others."""
        return list(self.card["data"].get("class_names") or ())

    def __call__(self, latent: Array, labels: Array | None = None) -> Array:
        """Returns the images of latents.

        Args:
            latent: floating-point ``[B, Z]``, from ``gan.prior``.
            labels: int32 ``[B]``, for a conditional generator.

        Returns:
            Floating-point ``[B, H, W, C]`` in [-1, 1]. It can be differentiated
            and compiled.

        Raises:
            ValueError: if the generator does not have the given labels.
        """
        classes = sample_labels(self.gan, len(latent), labels)
        return self.gan.generate(
            self.params, self.model_state, latent, train=False, labels=classes
        )[0]

    def sample(
        self,
        key: PRNGKey,
        n: int,
        *,
        labels: Array | int | None = None,
        truncation: float | None = None,
        batch_size: int = 64,
    ) -> Array:
        """Returns n images; image i depends only on the key and i.

        Args:
            key: PRNG key of the whole collection.
            n: number of images, >= 1.
            labels: for a conditional generator, one class for all images or
                integers ``[n]``. By default, the class of image i is i modulo
                the number of classes.
            truncation: bound of the absolute values of the latents, above 0;
                None for no bound.
            batch_size: images computed at once.

        Returns:
            Floating-point ``[n, H, W, C]`` in [-1, 1].

        Raises:
            ValueError: if n is below 1, or the generator does not have the
                given labels.
        """
        parts = generate_batches(
            self.gan,
            self.params,
            self.model_state,
            key,
            n,
            labels=labels,
            truncation=truncation,
            batch_size=batch_size,
        )
        return jnp.concatenate(list(parts))


def names() -> list[str]:
    """Returns the names of all trained generators."""
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def find(name: str | os.PathLike[str]) -> Path:
    """Returns the file of weights of a trained generator.

    Args:
        name: as for ``load``.

    Raises:
        ValueError: if the name is unknown; the message lists the names.
    """
    path, known = expanded(name), names()
    if name in known:
        path = _FOLDER / f"{name}.safetensors"
    elif path.is_dir():
        path = path / "weights.safetensors"
    if not path.is_file():
        raise ValueError(
            f"the trained generator {unknown(str(name), known)} Or use a folder "
            "written by wgan-jax export."
        )
    return path


def load(name: str | os.PathLike[str]) -> Pretrained:
    """Loads a trained generator, without network, dataset or extras.

    It computes in float32.

    Args:
        name: one of ``names()``; or a folder written by ``wgan-jax export``, or
            its file of weights.

    Returns:
        The generator.

    Raises:
        ValueError: if the name is unknown; the message lists the names.
        ArchiveError: if the file is damaged, or has no card.
    """
    path = find(name)
    arrays, card = load_weights(path)
    try:
        shape = tuple(card["data"]["example_shape"])
        classes, config = card["data"]["num_classes"], resolve(card["config"])
    except (KeyError, TypeError) as error:
        raise ArchiveError(f"{path} is not the file of a trained generator.") from error
    # Whatever it was trained in, so that all machines draw the same images.
    config = with_value(config, "training.compute_dtype", "float32")
    gan = build_gan(config, shape, classes=classes)
    state = abstract_state(gan).generator
    like = {"params": state.params, **state.model_state}
    try:
        variables = unflatten(arrays, like)
    except ValueError as error:
        raise ArchiveError(f"{path} does not fit its config: {error}") from error
    params = variables.pop("params")
    title = str(name) if path.parent == _FOLDER else path.parent.name
    return Pretrained(title, gan, params, variables, card)
