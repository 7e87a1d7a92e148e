"""Drawing from a trained generator: image i is a function of (key, i) alone."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.gan import Gan, GanState
from wgan_jax.types import Array, Params, PRNGKey, PyTree


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
        state: a run's arrays; not changed.
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
    if n < 1:
        raise ValueError(f"sample: n is {n}, and must be at least 1.")
    if not use_ema:
        params, model_state = state.generator.params, state.generator.model_state
    elif state.ema_params is None:
        raise ValueError(
            "sample: use_ema=True, but this Gan keeps no average (ema_decay is None); "
            "pass use_ema=False."
        )
    else:
        params, model_state = state.ema_params, state.ema_model_state
    classes = sample_labels(gan, n, labels)
    # Every chunk has the same size, the last one too: one compiled program, so
    # that an image has the same bits whatever n is.
    chunks = []
    for start in range(0, n, batch_size):
        indices = start + jnp.arange(batch_size)
        rows = None if classes is None else classes[jnp.minimum(indices, n - 1)]
        chunk = _sample_chunk(gan, params, model_state, key, indices, rows)
        chunks.append(chunk)
    return jnp.concatenate(chunks)[:n]


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
def _sample_chunk(
    gan: Gan,
    params: Params,
    model_state: PyTree,
    key: PRNGKey,
    indices: Array,
    labels: Array | None,
) -> Array:
    z = latents(key, indices, size=gan.latent_size)
    return gan.generate(params, model_state, z, train=False, labels=labels)[0]
