"""Samples from a generator; sample i depends only on (key, i)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.gan import Gan, GanState
from wgan_jax.latents import check_truncation, find_prior, latents
from wgan_jax.modules import has_batch_norm, is_average
from wgan_jax.parallel.sharding import gather
from wgan_jax.training.arguments import check_arguments
from wgan_jax.training.single_examples import check_examples
from wgan_jax.types import Array, Params, PRNGKey, PyTree


def sample(
    gan: Gan,
    state: GanState,
    key: PRNGKey,
    n: int,
    *,
    use_ema: bool = True,
    labels: Array | int | None = None,
    truncation: float | None = None,
    batch_size: int = 64,
) -> Array:
    """Generates n images in evaluation mode.

    Args:
        gan: static definition of the GAN.
        state: training state with any sharding; not modified. All processes
            that share it must make this call.
        key: PRNG key of the whole collection of samples.
        n: number of images, >= 1.
        use_ema: use the EMA of the generator instead of the current parameters.
        labels: for a conditional GAN, one class for all images or integers
            ``[n]``. By default, the class of image i is i modulo the number of
            classes.
        truncation: bound of the absolute values of the latents, above 0; None
            for no bound.
        batch_size: images computed at once; it affects the images only through
            rounding.

    Returns:
        Floating-point ``[n, ...]``, in [-1, 1] for image networks. Image i does
        not depend on n.

    Raises:
        ValueError: if n is below 1, if ``use_ema`` is set and no EMA is kept,
            or if the GAN does not have the given labels.
    """
    chunks = sample_batches(
        gan,
        state,
        key,
        n,
        use_ema=use_ema,
        labels=labels,
        truncation=truncation,
        batch_size=batch_size,
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
    truncation: float | None = None,
    batch_size: int = 64,
) -> Iterator[Array]:
    """Yields the images of ``sample`` in batches, to bound memory use.

    Args:
        gan: static definition of the GAN.
        state: training state, as for ``sample``.
        key: PRNG key of the whole collection of samples.
        n: number of images, >= 1.
        use_ema: use the EMA of the generator instead of the current parameters.
        labels: one class for all images, or one per image.
        truncation: as for ``sample``.
        batch_size: images per batch.

    Returns:
        An iterator over batches ``[batch_size, ...]``; the last one holds the
        remainder.

    Raises:
        ValueError: as ``sample``, before the first batch.
    """
    check_arguments(gan, state, key)
    weights = generator_weights(state, use_ema=use_ema)
    return generate_batches(
        gan,
        *weights,
        key,
        n,
        labels=labels,
        truncation=truncation,
        batch_size=batch_size,
    )


def generate_batches(
    gan: Gan,
    params: Params,
    model_state: PyTree,
    key: PRNGKey,
    n: int,
    *,
    labels: Array | int | None = None,
    truncation: float | None = None,
    batch_size: int = 64,
) -> Iterator[Array]:
    """Yields the images of ``sample``, given the weights of the generator.

    Args:
        gan: static definition of the GAN.
        params: parameters of the generator.
        model_state: other collections of the generator.
        key: PRNG key of the whole collection of samples.
        n: number of images, >= 1.
        labels: one class for all images, or one per image.
        truncation: as for ``sample``.
        batch_size: images per batch.

    Returns:
        An iterator over batches, as for ``sample_batches``.

    Raises:
        ValueError: as ``sample``, before the first batch.
    """
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"sample: n is {n!r}; it must be a whole number at least 1.")
    check_truncation(truncation, gan.prior)

    def drawn(indices: Array) -> Array:
        return latents(
            key,
            indices,
            size=gan.latent_size,
            truncation=truncation,
            prior=gan.prior,
        )

    return _batches(gan, (params, model_state), drawn, n, labels, batch_size)


def generate_from_latents(
    gan: Gan,
    params: Params,
    model_state: PyTree,
    z: Array,
    *,
    labels: Array | int | None = None,
    batch_size: int = 64,
) -> Iterator[Array]:
    """Yields the images of given latents in batches.

    Args:
        gan: static definition of the GAN.
        params: parameters of the generator.
        model_state: other collections of the generator.
        z: floating-point ``[n, Z]``.
        labels: one class for all images, or one per image; by default, the class
            of image i is i modulo the number of classes.
        batch_size: images per batch.

    Returns:
        An iterator over batches, as for ``sample_batches``.

    Raises:
        ValueError: if the latents have another shape, or the GAN does not have
            the given labels; before the first batch.
    """
    n = len(z)
    if z.ndim != 2 or z.shape[1] != gan.latent_size or not n:
        raise ValueError(
            f"the latents have the shape {list(z.shape)}; it must be [n, "
            f"{gan.latent_size}], n at least 1."
        )

    def given(indices: Array) -> Array:
        return z[jnp.minimum(indices, n - 1)]

    return _batches(gan, (params, model_state), given, n, labels, batch_size)


def _batches(
    gan: Gan,
    weights: tuple[Params, PyTree],
    latents_of: Callable[[Array], Array],
    n: int,
    labels: Array | int | None,
    batch_size: int,
) -> Iterator[Array]:
    """Yields the images of a function from indices to latents."""
    classes = sample_labels(gan, n, labels)

    def part(start: int) -> Array:
        # All batches, including the last one, have the same size. They share one
        # compiled program, so the bits of an image do not depend on n.
        indices = start + jnp.arange(batch_size)
        rows = None if classes is None else classes[jnp.minimum(indices, n - 1)]
        return _generate(gan, *weights, latents_of(indices), rows)[: n - start]

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
    """Generates images along paths between pairs of latents.

    The paths are great arcs, or lines if the latents are uniform.

    Args:
        gan: static definition of the GAN.
        state: training state; not modified.
        key: PRNG key of the endpoints; row i depends only on (key, i).
        rows: number of paths, >= 1. In a conditional GAN, the class of row i is
            i modulo the number of classes.
        columns: images per path, >= 2, equally spaced and including both
            endpoints.
        use_ema: use the EMA of the generator instead of the current parameters.

    Returns:
        ``[rows * columns, ...]`` in row-major order.

    Raises:
        ValueError: if ``rows`` or ``columns`` is too small, or if ``use_ema``
            is set and no EMA is kept.
    """
    if rows < 1 or columns < 2:
        raise ValueError(
            f"interpolations: rows is {rows} and columns is {columns}; they must be at "
            "least 1 and at least 2."
        )
    params, model_state = generator_weights(state, use_ema=use_ema)
    ends = 2 * jnp.arange(rows)
    first = latents(key, ends, size=gan.latent_size, prior=gan.prior)
    last = latents(key, ends + 1, size=gan.latent_size, prior=gan.prior)
    t = jnp.tile(jnp.linspace(0.0, 1.0, columns, dtype=jnp.float32), rows)[:, None]
    z = find_prior(gan.prior).path(
        jnp.repeat(first, columns, axis=0), jnp.repeat(last, columns, axis=0), t
    )
    classes = None
    if gan.conditional is not None:
        classes = jnp.repeat(jnp.arange(rows) % gan.conditional.classes, columns)
    return _generate(gan, params, model_state, z, classes)


def standing_statistics(
    gan: Gan,
    state: GanState,
    key: PRNGKey,
    *,
    batches: int,
    batch_size: int = 64,
    use_ema: bool = True,
) -> GanState:
    r"""Replaces the running averages of batch normalization by standing statistics.

    .. math:: \bar s = \frac{1}{n} \sum_{i=1}^{n} s_i

    where :math:`s_i` are the batch means and variances of generated batch i.
    The running averages of training belong to earlier parameters. Standing
    statistics are those of the parameters that are sampled.

    Args:
        gan: static definition of the GAN.
        state: training state; not modified. All processes that share it must
            make this call.
        key: PRNG key of the latents.
        batches: n, number of batches, >= 1.
        batch_size: latents per batch.
        use_ema: whether the EMA of the generator or its current parameters will
            be sampled.

    Returns:
        The state, with the generator's ``batch_stats`` (or those of its EMA)
        replaced; equal to ``state`` if the generator has no batch norm.

    Raises:
        ValueError: if ``batches`` is below 1, the generator is constant for
            batches of one latent, or as ``sample``.

    Reference:
        Brock, Donahue, Simonyan 2018, arXiv:1809.11096, appendix C.
    """
    if batches < 1:
        raise ValueError(
            f"standing_statistics: batches is {batches}; it must be at least 1."
        )
    params, model_state = generator_weights(state, use_ema=use_ema)
    if not has_batch_norm(model_state):
        return state
    check_examples(gan, generator=batch_size)
    classes = sample_labels(gan, batches * batch_size, None)
    found = _standing(gan, params, model_state, key, classes, batches, batch_size)
    if use_ema:
        return state.replace(ema_model_state=found)
    return state.replace(generator=state.generator.replace(model_state=found))


@partial(jax.jit, static_argnums=(0, 5, 6))
def _standing(
    gan: Gan,
    params: Params,
    model_state: PyTree,
    key: PRNGKey,
    classes: Array | None,
    batches: int,
    batch_size: int,
) -> PyTree:
    """Returns the model state with the mean of the statistics of some batches."""
    others = {k: v for k, v in model_state.items() if k != "batch_stats"}

    def averaged(value: float, index: Array) -> PyTree:
        """Returns the running averages after one batch, starting from a value."""
        indices = index * batch_size + jnp.arange(batch_size)
        start = jax.tree_util.tree_map_with_path(
            lambda path, x: jnp.full_like(x, value) if is_average(path) else x,
            model_state["batch_stats"],
        )
        _, after = gan.generate(
            params,
            {"batch_stats": start, **others},
            latents(key, indices, size=gan.latent_size, prior=gan.prior),
            train=True,
            labels=None if classes is None else classes[indices],
            # No sample has this index.
            key=jax.random.fold_in(jax.random.fold_in(key, 2**32 - 1), index),
        )
        return after["batch_stats"]

    # A running average is m * old + (1 - m) * batch, with a momentum m that is known
    # only to the layer. Starting from 0 and from 1 reveals it.
    first = averaged(0.0, jnp.zeros((), jnp.int32))
    momentum = jax.tree.map(
        jnp.subtract, averaged(1.0, jnp.zeros((), jnp.int32)), first
    )
    total = jax.lax.fori_loop(
        1,
        batches,
        lambda i, sums: jax.tree.map(jnp.add, sums, averaged(0.0, i)),
        first,
    )
    mean = jax.tree_util.tree_map_with_path(
        lambda path, old, s, m: s / batches / (1.0 - m) if is_average(path) else old,
        model_state["batch_stats"],
        total,
        momentum,
    )
    return {"batch_stats": mean, **others}


def generator_weights(state: GanState, *, use_ema: bool) -> tuple[Params, PyTree]:
    """Returns the generator's parameters and model state, averaged or current.

    Args:
        state: training state. If the EMA is sharded over several processes, all
            of them must make this call.
        use_ema: use the EMA instead of the current parameters.

    Returns:
        The parameters and the model state, replicated on each device.

    Raises:
        ValueError: if ``use_ema`` is set and no EMA is kept.
    """
    if not use_ema:
        return gather((state.generator.params, state.generator.model_state))
    if state.ema_params is None:
        raise ValueError(
            "sample: use_ema is True, but this Gan has no EMA (ema_decay is None). "
            "Use use_ema=False."
        )
    return gather((state.ema_params, state.ema_model_state))


def sample_labels(gan: Gan, n: int, labels: Array | int | None) -> Array | None:
    """Returns the class of each of n samples.

    Args:
        gan: static definition of the GAN.
        n: number of samples.
        labels: as for ``sample``.

    Returns:
        int32 ``[n]``, or None for an unconditional GAN.

    Raises:
        ValueError: if the GAN does not have the given labels. The values of
            traced labels are not checked.
    """
    if gan.conditional is None:
        if labels is not None:
            raise ValueError(
                "sample: labels were given, but this Gan is not conditional. Omit the "
                "labels."
            )
        return None
    count = gan.conditional.classes
    if labels is None:
        return jnp.arange(n, dtype=jnp.int32) % count
    traced = isinstance(labels, jax.core.Tracer)
    asked: Any = labels if traced else np.asarray(labels)
    if asked.shape not in ((), (n,)) or not np.issubdtype(asked.dtype, np.integer):
        raise ValueError(
            f"sample: labels are {asked.dtype} {list(asked.shape)}; they must be one "
            f"whole number, or {n} of them."
        )
    if not traced and (asked.min() < 0 or asked.max() >= count):
        raise ValueError(
            f"sample: labels are in {asked.min()} to {asked.max()}; they must be in 0 "
            f"to {count - 1}."
        )
    return jnp.broadcast_to(jnp.asarray(asked, jnp.int32), (n,))


@partial(jax.jit, static_argnums=0)
def _generate(
    gan: Gan, params: Params, model_state: PyTree, z: Array, labels: Array | None
) -> Array:
    return gan.generate(params, model_state, z, train=False, labels=labels)[0]
