"""Drawing from a trained generator: image i is a function of (key, i) alone."""

from functools import partial

import jax
import jax.numpy as jnp

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
        batch_size: images computed at once; the images do not depend on it
            beyond rounding.

    Returns:
        ``[n, ...]`` floating, in [-1, 1] for image networks. Image i is the
        same for any n.

    Raises:
        ValueError: if n is below 1, or the average is asked for and not kept.
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
    # Every chunk has the same size, the last one too: one compiled program, so
    # that an image has the same bits whatever n is.
    chunks = [
        _sample_chunk(gan, params, model_state, key, start + jnp.arange(batch_size))
        for start in range(0, n, batch_size)
    ]
    return jnp.concatenate(chunks)[:n]


@partial(jax.jit, static_argnums=0)
def _sample_chunk(
    gan: Gan, params: Params, model_state: PyTree, key: PRNGKey, indices: Array
) -> Array:
    z = latents(key, indices, size=gan.latent_size)
    return gan.generate(params, model_state, z, train=False)[0]
