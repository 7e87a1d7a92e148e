"""Samples from a generator; sample i is a function of (key, i) alone."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.gan import Gan, GanState
from wgan_jax.latents import great_arc, latents
from wgan_jax.parallel.sharding import gather
from wgan_jax.types import Array, Params, PRNGKey, PyTree


def sample(
    gan: Gan,
    state: GanState,
    key: PRNGKey,
    n: int,
    *,
    use_ema: bool = True,
    labels: Array | int | None = None,
    batch_size: int = 64,
) -> Array:
    """N images of the generator, in evaluation mode.

    Args:
        gan: the static parts.
        state: a run's arrays, placed in any way; not changed. The processes that
            share them call this together.
        key: typed key of the collection.
        n: how many, >= 1.
        use_ema: the moving average of the generator instead of its live
            parameters.
        labels: of a conditional GAN: one class for all, or one for each image,
            integers ``[n]``; by default image i is of class i modulo their
            number.
        batch_size: images computed at once; the images do not depend on it
            beyond rounding.

    Returns:
        ``[n, ...]`` floating, in [-1, 1] for image networks. Image i is the
        same for any n.

    Raises:
        ValueError: if n is below 1, the average is asked for and not kept, or
            labels are given that the GAN does not have.
    """
    chunks = sample_batches(
        gan, state, key, n, use_ema=use_ema, labels=labels, batch_size=batch_size
    )
    return jnp.concatenate(list(chunks))


def sample_batches(
    gan: Gan,
    state: GanState,
    key: PRNGKey,
    n: int,
    *,
    use_ema: bool = True,
    labels: Array | int | None = None,
    batch_size: int = 64,
) -> Iterator[Array]:
    """The images of ``sample`` in parts, so that never all are in memory.

    Args:
        gan: as for ``sample``, like all the others.
        state: a run's arrays.
        key: typed key of the collection.
        n: how many, >= 1.
        use_ema: the moving average instead of the live parameters.
        labels: one class for all, or one for each image.
        batch_size: images of a part.

    Returns:
        Parts ``[batch_size, ...]``, the last one of what is left.

    Raises:
        ValueError: as ``sample``, before the first part.
    """
    if n < 1:
        raise ValueError(f"sample: n is {n}, and must be at least 1.")
    params, model_state = generator_weights(state, use_ema=use_ema)
    classes = sample_labels(gan, n, labels)

    def part(start: int) -> Array:
        # Every part has the same size, the last one too: one compiled program, so
        # that an image has the same bits whatever n is.
        indices = start + jnp.arange(batch_size)
        rows = None if classes is None else classes[jnp.minimum(indices, n - 1)]
        z = latents(key, indices, size=gan.latent_size)
        return _generate(gan, params, model_state, z, rows)[: n - start]

    return map(part, range(0, n, batch_size))


def interpolations(
    gan: Gan,
    state: GanState,
    key: PRNGKey,
    *,
    rows: int,
    columns: int,
    use_ema: bool = True,
) -> Array:
    """Images along great arcs from one latent to another (``great_arc``).

    Args:
        gan: the static parts.
        state: a run's arrays; not changed.
        key: typed key of the ends; a row depends on it and its number alone.
        rows: arcs, >= 1; of a conditional GAN row i is of class i modulo their
            number.
        columns: images along each, >= 2, at equal steps, both ends among them.
        use_ema: the moving average instead of the live parameters.

    Returns:
        ``[rows * columns, ...]``, a row's images one after the other.

    Raises:
        ValueError: if there is nothing to draw, or the average is not kept.
    """
    if rows < 1 or columns < 2:
        raise ValueError(
            f"interpolations: {rows} rows of {columns}; at least 1 of 2 is needed."
        )
    params, model_state = generator_weights(state, use_ema=use_ema)
    ends = 2 * jnp.arange(rows)
    first = latents(key, ends, size=gan.latent_size)
    last = latents(key, ends + 1, size=gan.latent_size)
    t = jnp.tile(jnp.linspace(0.0, 1.0, columns), rows)[:, None]
    z = great_arc(
        jnp.repeat(first, columns, axis=0), jnp.repeat(last, columns, axis=0), t
    )
    classes = None
    if gan.conditional is not None:
        classes = jnp.repeat(jnp.arange(rows) % gan.conditional.classes, columns)
    return _generate(gan, params, model_state, z, classes)


def generator_weights(state: GanState, *, use_ema: bool) -> tuple[Params, PyTree]:
    """The generator's parameters and model state: the average's or the live ones.

    Args:
        state: a run's arrays. Where the average is divided among the devices of
            several processes, all of these call this together.
        use_ema: the moving average.

    Returns:
        Both, whole on each device.

    Raises:
        ValueError: if the average is asked for and not kept.
    """
    if not use_ema:
        return gather((state.generator.params, state.generator.model_state))
    if state.ema_params is None:
        raise ValueError(
            "sample: use_ema=True, but this Gan keeps no average (ema_decay is None); "
            "pass use_ema=False."
        )
    return gather((state.ema_params, state.ema_model_state))


def sample_labels(gan: Gan, n: int, labels: Array | int | None) -> Array | None:
    """The class of each of n samples.

    Args:
        gan: the static parts.
        n: how many.
        labels: as for ``sample``.

    Returns:
        int32 ``[n]``, or None for a GAN without classes.

    Raises:
        ValueError: if labels are given that the GAN does not have.
    """
    if gan.conditional is None:
        if labels is not None:
            raise ValueError(
                "sample: labels are given, but this Gan is not conditional; leave them "
                "out."
            )
        return None
    count = gan.conditional.classes
    if labels is None:
        return jnp.arange(n, dtype=jnp.int32) % count
    asked = np.asarray(labels)
    if asked.shape not in ((), (n,)) or not np.issubdtype(asked.dtype, np.integer):
        raise ValueError(
            f"sample: labels are {asked.dtype} {list(asked.shape)}; they must be one "
            f"whole number or {n}."
        )
    if asked.min() < 0 or asked.max() >= count:
        raise ValueError(
            f"sample: labels run from {asked.min()} to {asked.max()}; they must be in "
            f"0 to {count - 1}."
        )
    return jnp.broadcast_to(jnp.asarray(asked, jnp.int32), (n,))


@partial(jax.jit, static_argnums=0)
def _generate(
    gan: Gan, params: Params, model_state: PyTree, z: Array, labels: Array | None
) -> Array:
    return gan.generate(params, model_state, z, train=False, labels=labels)[0]
