"""Parts of an update: inputs, gradients, optimizer and moving average."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from wgan_jax.gan import Gan, GanState, PlayerState
from wgan_jax.parallel.sharding import constrain_batch, constrain_replicated
from wgan_jax.schedules import warmed_up_decay
from wgan_jax.types import Array, Batch, Metrics, Params, PRNGKey, PyTree


def examples(gan: Gan, batch: Batch | Array) -> tuple[Array, Array | None]:
    """Returns the images of a batch, and its labels if they are used.

    Args:
        gan: static definition of the GAN.
        batch: ``{"image": ..., "label": ...}``, or the images alone.

    Returns:
        The images, and the labels or None.

    Raises:
        ValueError: if the GAN is conditional and the batch has no labels.
    """
    if not isinstance(batch, Mapping):
        batch = {"image": batch}
    if gan.conditional is None:
        return batch["image"], None
    if "label" not in batch:
        raise ValueError(
            "the batch has no 'label', but the GAN is conditional; it must be "
            "{'image': ..., 'label': ...}."
        )
    return batch["image"], batch["label"]


def normalize_images(images: Array, key: PRNGKey, *, dequantize: bool) -> Array:
    r"""Converts uint8 images to [-1, 1]; floating-point images are unchanged.

    .. math:: x = u / 127.5 - 1
        \quad\text{or, dequantized,}\quad x = (u + \nu) / 128 - 1,
        \; \nu \sim U[0, 1)

    Args:
        images: ``[B, ...]``, uint8 in 0 .. 255 or floating-point in [-1, 1].
        key: PRNG key of the noise.
        dequantize: add the noise; ignored for floating-point images.

    Returns:
        Floating-point ``[B, ...]`` in [-1, 1], float32 for uint8 images.

    Raises:
        AssertionError: if the dtype is neither uint8 nor floating-point.

    Reference:
        Dequantization: the authors' ``gan_cifar_resnet.py`` for
        arXiv:1704.00028.
    """
    if images.dtype != jnp.uint8:
        chex.assert_type(images, float)
        return images
    levels = images.astype(jnp.float32)  # also with jax_enable_x64
    if not dequantize:
        return levels / 127.5 - 1.0
    noise = constrain_batch(jax.random.uniform(key, images.shape, levels.dtype))
    return (levels + noise) / 128.0 - 1.0


def with_augmentation(gan: Gan, state: GanState) -> Gan:
    """Returns a GAN whose augmentation has the current probability.

    Args:
        gan: static definition of the GAN.
        state: training state.

    Returns:
        The GAN with the probability bound; ``gan`` itself if it has none.
    """
    if gan.augment is None or gan.augment_probability is None:
        return gan
    probability = gan.augment_probability.at(state.augmentation, state.step)
    return replace(gan, augment=partial(gan.augment, probability=probability))


def split(gan: Gan, batch: PyTree) -> PyTree:
    """Splits a batch into the microbatches of a Gan.

    Example i is assigned to part i modulo the number of parts, so that each
    device of a mesh keeps its own examples.

    Args:
        gan: static definition of the GAN.
        batch: pytree of ``[B, ...]``.

    Returns:
        The same tree of ``[parts, B / parts, ...]``.

    Raises:
        ValueError: if B is not divisible by the number of parts.
    """
    parts = gan.microbatches

    def one(x: Array) -> Array:
        if x.shape[0] % parts:
            raise ValueError(
                f"a batch of {x.shape[0]} is not divisible into {parts} microbatches. "
                f"Use a multiple of {parts}."
            )
        return x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(one, batch)


def joined(parts: Array) -> Array:
    """Joins the parts of ``split``: ``[parts, B / parts, ...] -> [B, ...]``."""
    return constrain_batch(parts.swapaxes(0, 1).reshape(-1, *parts.shape[2:]))


def mean_gradients(
    gan: Gan,
    gradients: Callable[..., tuple[PyTree, PyTree, Metrics]],
    model_state: PyTree,
    batch: PyTree,
    keys: PyTree,
) -> tuple[PyTree, PyTree, Metrics]:
    r"""Computes the gradient of a loss over a batch by averaging over microbatches.

    .. math:: \nabla L = \frac{1}{A} \sum_a \nabla L_a

    Args:
        gan: static definition of the GAN; A is its ``microbatches``.
        gradients: ``(model_state, part, keys) -> (gradients, model_state,
            metrics)`` of a loss that is a mean over examples.
        model_state: model state of the network, passed from part to part.
        batch: pytree of ``[B, ...]``.
        keys: pytree of PRNG keys; with several parts, part a uses
            ``fold_in(key, a)``.

    Returns:
        The mean gradient, the last model state, and the metrics averaged over
        the parts (the maximum of names that end in ``_max``, before the label of a
        term).
    """
    if gan.microbatches == 1:
        return gradients(model_state, batch, keys)

    def part(model_state: PyTree, x: tuple[PyTree, Array]) -> tuple[PyTree, Any]:
        rows, index = x
        own = jax.tree.map(lambda key: jax.random.fold_in(key, index), keys)
        rows = jax.tree.map(constrain_batch, rows)
        found, model_state, metrics = gradients(model_state, rows, own)
        return model_state, (found, metrics)

    # The scan accumulates the gradients, so that only one part's is in memory.
    indices = jnp.arange(gan.microbatches)
    parts = split(gan, batch)
    shapes = jax.eval_shape(
        lambda: part(model_state, (jax.tree.map(lambda x: x[0], parts), indices[0]))[1][
            0
        ]
    )
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    def add(carry: tuple[PyTree, PyTree], x: Any) -> tuple[Any, Metrics]:
        total, model_state = carry
        model_state, (found, metrics) = part(model_state, x)
        return (jax.tree.map(jnp.add, total, found), model_state), metrics

    (total, model_state), history = jax.lax.scan(
        add, (zeros, model_state), (parts, indices)
    )
    metrics = {
        name: (jnp.max if _is_maximum(name) else jnp.mean)(values, axis=0)
        for name, values in history.items()
    }
    return jax.tree.map(lambda g: g / gan.microbatches, total), model_state, metrics


def _is_maximum(name: str) -> bool:
    """Returns whether a metric is a maximum; a label may follow its name."""
    return any(part.endswith("_max") for part in name.split("/"))


def apply_gradients(
    optimizer: optax.GradientTransformation,
    player: PlayerState,
    grads: PyTree,
    scale: Array,
    *,
    iteration: Array,
) -> tuple[PlayerState, dict[str, Array]]:
    r"""Performs one update of the parameters of a network.

    .. math:: w \leftarrow w + s\, u(\nabla_w L)

    Args:
        optimizer: computes the update u, including the learning rate.
        player: state of the network.
        grads: gradients of the loss, with the structure of the parameters.
        scale: scalar factor s of the learning-rate schedule. The schedule is
            applied to the updates, which are linear in the learning rate,
            because the optimizer's own counter advances n_critic times as fast
            for the critic.
        iteration: scalar int32, number of generator updates so far, for
            optimizers with schedules.

    Returns:
        The new state of the network, and the L2 norms ``grad_norm``,
        ``update_norm`` and ``param_norm`` over all parameters.
    """
    grads = constrain_replicated(grads)
    updates, opt_state = optax.with_extra_args_support(optimizer).update(
        grads, player.opt_state, player.params, iteration=iteration
    )
    updates = jax.tree.map(lambda u: u * scale.astype(u.dtype), updates)
    params: Params = constrain_replicated(optax.apply_updates(player.params, updates))
    norms = {
        "grad_norm": optax.tree.norm(grads),
        "update_norm": optax.tree.norm(updates),
        "param_norm": optax.tree.norm(params),
    }
    return player.replace(params=params, opt_state=opt_state), norms


def update_average(gan: Gan, state: GanState) -> GanState:
    r"""Updates the EMA of the generator.

    .. math:: a \leftarrow a + (1 - d_t)(w - a)

    Batch statistics are averaged in the same way, to match the averaged
    parameters.

    Args:
        gan: static definition of the GAN.
        state: training state with the new generator, and ``step`` from before
            this update.

    Returns:
        The new state; unchanged if the GAN keeps no EMA.
    """
    if gan.ema_decay is None:
        return state
    if callable(gan.ema_decay):
        rate = 1.0 - gan.ema_decay(state.step)
    else:
        rate = 1.0 - warmed_up_decay(state.step, decay=gan.ema_decay)

    def move(average: Array, value: Array) -> Array:
        if not jnp.issubdtype(average.dtype, jnp.inexact):
            return value  # a counter or a switch has no average
        return average + rate.astype(average.dtype) * (value - average)

    return state.replace(
        ema_params=jax.tree.map(move, state.ema_params, state.generator.params),
        ema_model_state=jax.tree.map(
            move, state.ema_model_state, state.generator.model_state
        ),
    )
