"""Priors of the latents, latents by sample index, and paths between latents.

To add a prior, write a function that draws from it and add a row to ``PRIORS`` at
the end of this file.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from wgan_jax.errors import unknown
from wgan_jax.types import Array, PRNGKey

_TRUNCATED = 2.0  # bound of truncated_normal, as in TensorFlow


class Prior(NamedTuple):
    """Distribution of the latents.

    Attributes:
        draw: ``(key, shape, bound)`` to latents ``[..., Z]``, independent along
            all axes but the last. ``bound`` is one of the absolute values, or
            None.
        path: ``(first, last, t)`` to latents between ``[B, Z]`` and ``[B, Z]``,
            for t ``[B, 1]`` in [0, 1].
        nearest: latents ``[..., Z]`` to the nearest ones that can be drawn.
        can_be_bounded: whether ``draw`` takes a bound.
    """

    draw: Callable[[PRNGKey, tuple[int, ...], float | None], Array]
    path: Callable[[Array, Array, Array], Array]
    nearest: Callable[[Array], Array]
    can_be_bounded: bool = True


@partial(jax.jit, static_argnames=("size", "truncation", "prior"))
def latents(
    key: PRNGKey,
    indices: Array,
    *,
    size: int,
    truncation: float | None = None,
    prior: str = "normal",
) -> Array:
    """Returns the latents of the given sample indices.

    Args:
        key: PRNG key of the whole collection of samples.
        indices: integer ``[B]`` sample indices.
        size: Z.
        truncation: bound of the absolute values, above 0; None for no bound.
        prior: a key of ``PRIORS``.

    Returns:
        float32 ``[B, Z]`` from the prior, under the condition that no value
        exceeds the bound; row i depends only on ``(key, indices[i])``.

    Raises:
        ValueError: if the prior cannot be bounded.

    Reference:
        Brock, Donahue, Simonyan 2018, arXiv:1809.11096, section 3.1, for the
        truncation: samples closer to typical ones, at the expense of variety.
    """
    check_truncation(truncation, prior)
    draw = find_prior(prior).draw

    def one(index: Array) -> Array:
        return draw(jax.random.fold_in(key, index), (size,), truncation)

    return jax.vmap(one)(indices)


def find_prior(name: str) -> Prior:
    """Returns a row of ``PRIORS``.

    Args:
        name: its name.

    Raises:
        ValueError: if the name is unknown; the message lists the names.
    """
    if name not in PRIORS:
        raise ValueError(f"prior {unknown(name, PRIORS)}")
    return PRIORS[name]


def check_truncation(truncation: float | None, prior: str) -> None:
    """Raises ValueError if latents of a prior cannot be truncated like this.

    Args:
        truncation: bound of the absolute values, or None.
        prior: a key of ``PRIORS``.
    """
    if truncation is None:
        return
    if isinstance(truncation, str) or not truncation > 0:
        raise ValueError(f"truncation is {truncation!r}; it must be above 0.")
    if not find_prior(prior).can_be_bounded:
        able = [name for name, row in PRIORS.items() if row.can_be_bounded]
        raise ValueError(
            f"truncation is {truncation}, but latents of the prior {prior!r} cannot be "
            f"truncated. Leave it unset, or use one of the priors {', '.join(able)}."
        )


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


def linear(first: Array, last: Array, t: Array) -> Array:
    """Interpolates linearly between latents; arguments as for ``great_arc``."""
    return (1 - t) * first + t * last


def _normal(key: PRNGKey, shape: tuple[int, ...], bound: float | None) -> Array:
    # Not the default dtype: jax_enable_x64 must not change what is drawn.
    if bound is None:
        return jax.random.normal(key, shape, jnp.float32)
    low, high = jnp.float32(-bound), jnp.float32(bound)
    return jax.random.truncated_normal(key, low, high, shape, jnp.float32)


def _truncated_normal(
    key: PRNGKey, shape: tuple[int, ...], bound: float | None
) -> Array:
    return _normal(key, shape, _TRUNCATED if bound is None else min(bound, _TRUNCATED))


def _uniform(key: PRNGKey, shape: tuple[int, ...], bound: float | None) -> Array:
    limit = 1.0 if bound is None else min(bound, 1.0)
    return jax.random.uniform(key, shape, jnp.float32, minval=-limit, maxval=limit)


def _sphere(key: PRNGKey, shape: tuple[int, ...], bound: float | None) -> Array:
    assert bound is None  # ensured by check_truncation
    return _on_sphere(jax.random.normal(key, shape, jnp.float32))


def _on_sphere(z: Array) -> Array:
    # Of radius sqrt(Z), so that the mean square of a value is 1.
    return z * jax.lax.rsqrt(jnp.mean(jnp.square(z), axis=-1, keepdims=True))


def _in_box(limit: float) -> Callable[[Array], Array]:
    return lambda z: jnp.clip(z, -limit, limit)


PRIORS: dict[str, Prior] = {
    "normal": Prior(_normal, great_arc, lambda z: z),
    "truncated_normal": Prior(_truncated_normal, great_arc, _in_box(_TRUNCATED)),
    "uniform": Prior(_uniform, linear, _in_box(1.0)),
    "sphere": Prior(_sphere, great_arc, _on_sphere, can_be_bounded=False),
}
