"""Latents: fixed ones by index, and paths between them."""

from functools import partial

import jax
import jax.numpy as jnp

from wgan_jax.types import Array, PRNGKey


@partial(jax.jit, static_argnames="size")
def latents(key: PRNGKey, indices: Array, *, size: int) -> Array:
    """The latents of given samples.

    Args:
        key: typed key of the whole collection.
        indices: ``[B]`` integers, which samples.
        size: Z.

    Returns:
        ``[B, Z]`` standard normal; row i depends on (key, indices[i]) alone.
    """
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (size,)))(
        indices
    )


def great_arc(first: Array, last: Array, t: Array) -> Array:
    r"""Points between latents, as far from the origin as latents are.

    .. math:: z(t) = \frac{\sin((1 - t) \omega)\, z_0 + \sin(t \omega)\, z_1}
        {\sin \omega}

    with :math:`\omega` the angle between :math:`z_0` and :math:`z_1`. A straight line
    would pass nearer to the origin than latents of many dimensions ever lie.

    Args:
        first: ``[B, Z]``.
        last: ``[B, Z]``.
        t: ``[B, 1]`` in [0, 1].

    Returns:
        ``[B, Z]``: ``first`` at 0 and ``last`` at 1. Ends on one line through the
        origin, as all latents of one number are, have no arc: the way is straight.

    Reference:
        Shoemake 1985, "Animating rotation with quaternion curves".
    """
    lengths = [jnp.linalg.norm(z, axis=1, keepdims=True) for z in (first, last)]
    cosine = jnp.sum(first * last, axis=1, keepdims=True) / (lengths[0] * lengths[1])
    cosine = jnp.clip(cosine, -1, 1)
    straight = jnp.abs(cosine) > 1 - 1e-6
    angle = jnp.arccos(jnp.where(straight, 0.0, cosine))
    parts = jnp.sin((1 - t) * angle) * first + jnp.sin(t * angle) * last
    return jnp.where(straight, (1 - t) * first + t * last, parts / jnp.sin(angle))
