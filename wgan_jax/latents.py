"""Latent vectors by sample index, and paths between latents."""

from functools import partial

import jax
import jax.numpy as jnp

from wgan_jax.types import Array, PRNGKey


@partial(jax.jit, static_argnames=("size", "truncation"))
def latents(
    key: PRNGKey, indices: Array, *, size: int, truncation: float | None = None
) -> Array:
    """Returns the latents of the given sample indices.

    Args:
        key: PRNG key of the whole collection of samples.
        indices: integer ``[B]`` sample indices.
        size: Z.
        truncation: bound of the absolute values, above 0; None for no bound.

    Returns:
        float32 ``[B, Z]`` standard normal, or normal under the condition that no
        value exceeds the bound; row i depends only on ``(key, indices[i])``.

    Reference:
        Brock, Donahue, Simonyan 2018, arXiv:1809.11096, section 3.1, for the
        truncation: samples closer to typical ones, at the expense of variety.
    """

    def one(index: Array) -> Array:
        own = jax.random.fold_in(key, index)
        if truncation is None:
            return jax.random.normal(own, (size,), jnp.float32)
        low, high = jnp.float32(-truncation), jnp.float32(truncation)
        return jax.random.truncated_normal(own, low, high, (size,), jnp.float32)

    return jax.vmap(one)(indices)


def great_arc(first: Array, last: Array, t: Array) -> Array:
    r"""Interpolates spherically between latents.

    .. math:: z(t) = \frac{\sin((1 - t) \omega)\, z_0 + \sin(t \omega)\, z_1}
        {\sin \omega}

    where :math:`\omega` is the angle between :math:`z_0` and :math:`z_1`. In
    high dimensions, linear interpolation passes closer to the origin than any
    typical latent.

    Args:
        first: ``[B, Z]``.
        last: ``[B, Z]``.
        t: ``[B, 1]`` in [0, 1].

    Returns:
        ``[B, Z]``: ``first`` at t = 0 and ``last`` at t = 1. Collinear
        endpoints (always the case for Z = 1) define no arc and are interpolated
        linearly.

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
