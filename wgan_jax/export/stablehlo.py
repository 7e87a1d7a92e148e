"""Generators as StableHLO programs for any batch size and several platforms."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from wgan_jax.errors import ExportError
from wgan_jax.latents import latents
from wgan_jax.types import Array
from wgan_jax.zoo import Pretrained

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(
    generator: Pretrained, *, from_seed: bool = False, dtype: str = "float32"
) -> bytes:
    """Exports a generator with ``jax.export``, its weights included.

    Args:
        generator: a trained generator.
        from_seed: False for a program of latents float32 ``[B, Z]``; True for a
            program of a seed, uint32 scalar, and indices int32 ``[B]``, which
            draws image i of that seed like ``sample``. A conditional generator
            takes labels int32 ``[B]`` as the last argument.
        dtype: ``float32`` for images in [-1, 1], ``uint8`` for gray levels.

    Returns:
        The serialized program, for ``jax.export.deserialize``.

    Raises:
        ExportError: if the package flatbuffers is missing.
    """
    (batch,) = export.symbolic_shape("batch")
    indices = jax.ShapeDtypeStruct((batch,), jnp.int32)
    arguments: tuple[Any, ...] = (
        jax.ShapeDtypeStruct((batch, generator.latent_size), jnp.float32),
    )
    if from_seed:
        arguments = (jax.ShapeDtypeStruct((), jnp.uint32), indices)
    if generator.gan.conditional is not None:
        arguments += (indices,)
    exported = export.export(
        jax.jit(_function(generator, from_seed=from_seed, dtype=dtype)),
        platforms=PLATFORMS,
    )(*arguments)
    try:
        return bytes(exported.serialize())
    except ImportError as error:
        raise ExportError(
            "StableHLO needs the package flatbuffers; install it with pip install "
            "'wgan-jax[export]'."
        ) from error


def _function(
    generator: Pretrained, *, from_seed: bool, dtype: str
) -> Callable[..., Array]:
    gan = generator.gan

    def draw(z: Array, labels: Array | None) -> Array:
        images, _ = gan.generate(
            generator.params, generator.model_state, z, train=False, labels=labels
        )
        if dtype == "uint8":  # as io.images.to_uint8
            images = jnp.rint((jnp.clip(images, -1, 1) + 1) * 127.5).astype(jnp.uint8)
        return images

    def of_latents(z: Array, labels: Array | None = None) -> Array:
        return draw(z, labels)

    def of_seed(seed: Array, indices: Array, labels: Array | None = None) -> Array:
        key = jax.random.key(seed)
        z = latents(key, indices, size=gan.latent_size, prior=gan.prior)
        return draw(z, labels)

    return of_seed if from_seed else of_latents
