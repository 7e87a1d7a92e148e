"""Latents whose images are closest to given ones."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from wgan_jax.gan import Gan
from wgan_jax.latents import find_prior
from wgan_jax.types import Array, Params, PRNGKey, PyTree


class Projection(NamedTuple):
    """Latents found for some images.

    Attributes:
        latents: float32 ``[n, Z]``.
        labels: int32 ``[n]``, or None for an unconditional GAN.
        images: ``[n, H, W, C]``, the images of these latents.
        errors: ``[n]``, root mean square differences of the pixels.
    """

    latents: Array
    labels: Array | None
    images: Array
    errors: Array


@partial(jax.jit, static_argnums=0, static_argnames=("starts", "steps"))
def project(
    gan: Gan,
    params: Params,
    model_state: PyTree,
    targets: Array,
    key: PRNGKey,
    *,
    starts: int = 16,
    steps: int = 300,
    learning_rate: float = 0.1,
    prior: float = 1e-3,
) -> Projection:
    r"""Finds latents whose images are close to given images.

    .. math:: \min_z \tfrac12 \sum_{s \in \{1, 4\}}
        \overline{(A_s G(z) - A_s x)^2} + \lambda \overline{z^2}

    where :math:`A_s` averages over s x s pixels and bars are means. Adam starts
    from several latents for each image, with a learning rate that falls to 0,
    and the best result is kept. Each update ends at a latent of the prior. In a
    conditional GAN, the starts have all classes in turn.

    Args:
        gan: static definition of the GAN.
        params: parameters of the generator.
        model_state: other collections of the generator.
        targets: floating-point ``[n, H, W, C]`` in [-1, 1].
        key: PRNG key of the first latents.
        starts: number of starts for each image, at least 1.
        steps: number of updates.
        learning_rate: of Adam, above 0.
        prior: weight :math:`\lambda` of the mean square of a latent.

    Returns:
        The latents, their images and the errors.
    """
    n, size = len(targets), gan.latent_size
    drawn_from = find_prior(gan.prior)
    first = drawn_from.draw(key, (starts * n, size), None)
    wanted = jnp.tile(targets, (starts, 1, 1, 1))
    labels = None
    if gan.conditional is not None:
        labels = jnp.repeat(jnp.arange(starts) % gan.conditional.classes, n)

    def draw(z: Array) -> Array:
        return gan.generate(params, model_state, z, train=False, labels=labels)[0]

    def loss(z: Array) -> Array:
        images = draw(z)
        differences = [
            jnp.square(images - wanted),
            jnp.square(_coarse(images - wanted)),
        ]
        pixels = sum(jnp.mean(x, (1, 2, 3)) for x in differences)
        return jnp.sum(pixels / 2 + prior * jnp.mean(jnp.square(z), 1))

    schedule = optax.cosine_decay_schedule(learning_rate, steps)
    optimizer = optax.adam(schedule)

    def update(
        carry: tuple[Array, PyTree], _: None
    ) -> tuple[tuple[Array, PyTree], None]:
        z, state = carry
        updates, state = optimizer.update(jax.grad(loss)(z), state)
        return (drawn_from.nearest(z + updates), state), None

    (z, _), _ = jax.lax.scan(update, (first, optimizer.init(first)), None, steps)
    images = draw(z)
    errors = jnp.sqrt(jnp.mean(jnp.square(images - wanted), (1, 2, 3)))
    best = jnp.argmin(errors.reshape(starts, n), 0) * n + jnp.arange(n)
    chosen = None if labels is None else labels[best]
    return Projection(z[best], chosen, images[best], errors[best])


def _coarse(images: Array) -> Array:
    """Averages over 4 x 4 pixels, without the pixels that are left at the end."""
    height, width = (side // 4 * 4 for side in images.shape[1:3])
    cut = images[:, :height, :width]
    blocks = cut.reshape(len(cut), height // 4, 4, width // 4, 4, -1)
    return blocks.mean((2, 4))
