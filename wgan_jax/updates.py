"""What one update does to arrays: images in, parameters down, averages along."""

import chex
import jax
import jax.numpy as jnp
import optax

from wgan_jax.gan import Gan, GanState, PlayerState
from wgan_jax.sharding import spread
from wgan_jax.types import Array, PRNGKey, PyTree


def normalize_images(images: Array, key: PRNGKey, *, dequantize: bool) -> Array:
    r"""uint8 images to the generator's range; floating ones pass.

    .. math:: x = u / 127.5 - 1
        \quad\text{or, dequantised,}\quad x = (u + \nu) / 128 - 1,
        \; \nu \sim U[0, 1)

    Args:
        images: ``[B, ...]``, uint8 in 0 .. 255 or floating in [-1, 1].
        key: typed key of the noise.
        dequantize: add the noise; without effect on floating images.

    Returns:
        ``[B, ...]`` floating in [-1, 1].

    Raises:
        AssertionError: if the dtype is neither uint8 nor floating.

    Reference:
        Dequantised: the authors' ``gan_cifar_resnet.py`` to arXiv:1704.00028.
    """
    if images.dtype != jnp.uint8:
        chex.assert_type(images, float)
        return images
    levels = images.astype(jnp.result_type(float))
    if not dequantize:
        return levels / 127.5 - 1.0
    noise = spread(jax.random.uniform(key, images.shape, levels.dtype))
    return (levels + noise) / 128.0 - 1.0


def descend(
    optimizer: optax.GradientTransformation,
    player: PlayerState,
    grads: PyTree,
    scale: Array,
) -> tuple[PlayerState, dict[str, Array]]:
    r"""One update of a player's parameters.

    .. math:: w \leftarrow w + s\, u(\nabla_w L)

    Args:
        optimizer: gives the update u, learning rate included.
        player: its arrays.
        grads: of the player's loss, like its params.
        scale: scalar s, the learning-rate schedule's factor. The optimiser's
            own count runs n_critic times too fast for the critic, so the
            schedule is a factor on the updates, which are linear in the rate.

    Returns:
        The player with new params and optimiser state, and the L2 norms
        ``grad_norm``, ``update_norm`` and ``param_norm`` over all parameters.
    """
    updates, opt_state = optimizer.update(grads, player.opt_state, player.params)
    updates = jax.tree.map(lambda u: u * scale.astype(u.dtype), updates)
    params = optax.apply_updates(player.params, updates)
    norms = {
        "grad_norm": optax.tree.norm(grads),
        "update_norm": optax.tree.norm(updates),
        "param_norm": optax.tree.norm(params),
    }
    return player.replace(params=params, opt_state=opt_state), norms


def ema_decay_at(step: Array, *, decay: float) -> Array:
    r"""Decay of the generator's average in a given iteration.

    .. math:: d_t = \min\left(d, \frac{1 + t}{10 + t}\right)

    Args:
        step: scalar int32 t, generator updates before this one.
        decay: d, in [0, 1).

    Returns:
        Scalar float32.
    """
    t = step.astype(jnp.float32)
    return jnp.minimum(decay, (1.0 + t) / (10.0 + t))


def update_average(gan: Gan, state: GanState) -> GanState:
    r"""Moves the generator's average towards its parameters.

    .. math:: a \leftarrow a + (1 - d_t)(w - a)

    The batch statistics are averaged alike, so that they belong to the
    averaged weights.

    Args:
        gan: the static parts.
        state: with the generator's new arrays, and ``step`` before this update.

    Returns:
        The state; unchanged if the Gan keeps no average.
    """
    if gan.ema_decay is None:
        return state
    rate = 1.0 - ema_decay_at(state.step, decay=gan.ema_decay)

    def move(average: Array, value: Array) -> Array:
        return average + rate.astype(average.dtype) * (value - average)

    return state.replace(
        ema_params=jax.tree.map(move, state.ema_params, state.generator.params),
        ema_model_state=jax.tree.map(
            move, state.ema_model_state, state.generator.model_state
        ),
    )
