"""Training steps as pure functions; ``compiled.py`` compiles them for a mesh.

``key`` is always the PRNG key of the run and is the same for all steps. Each
update folds its own counter from the state into the key. Random numbers
therefore differ between updates, a resumed run matches an uninterrupted one,
and N calls of ``critic_step`` followed by one of ``generator_step`` are
equivalent to ``train_step``.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from wgan_jax.augmentation import random_flip
from wgan_jax.gan import Gan, GanState, PlayerState
from wgan_jax.latents import find_prior
from wgan_jax.parallel.sharding import constrain_batch
from wgan_jax.training.arguments import check_arguments
from wgan_jax.training.corrected import corrected_estimate_at_fakes, corrected_estimates
from wgan_jax.training.gradients import (
    Draws,
    Keys,
    Pairs,
    critic_gradients,
    generator_gradients,
)
from wgan_jax.training.inputs import check_batch, check_labels
from wgan_jax.training.single_examples import check_examples
from wgan_jax.training.updates import (
    apply_gradients,
    examples,
    joined,
    mean_gradients,
    normalize_images,
    split,
    update_average,
    with_augmentation,
)
from wgan_jax.types import Array, Batch, Metrics, PRNGKey, PyTree

# Branches of the PRNG key of the run.
_CRITIC, _GENERATOR, _CRITIC_PASSES, _GENERATOR_PASSES, _FAKES, _DRAWS = range(6)


def critic_step(
    gan: Gan, state: GanState, batch: Batch | Array, key: PRNGKey
) -> tuple[GanState, Metrics]:
    """Performs one critic update; the generator is unchanged.

    Args:
        gan: static definition of the GAN.
        state: training state.
        batch: ``[B, ...]`` real examples, uint8 or floating-point in [-1, 1],
            or ``{"image": [B, ...], "label": [B]}`` with int32 labels, which a
            conditional GAN requires.
        key: PRNG key of the run; ``state.critic_updates`` is folded in.

    Returns:
        The new state and the metrics, as ``critic_update``.

    Raises:
        ValueError: if the batch does not fit the networks, required labels are
            missing, the batch size is not divisible by the number of
            microbatches, or a network is constant for one example (see
            ``check_examples``).

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1, lines 3 to 9;
        Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, lines 3 to 7.
    """
    check_arguments(gan, state, key)
    check_batch(gan, state, batch, axes=1)
    images, labels = examples(gan, batch)
    check_examples(gan, generator=images.shape[0] // gan.microbatches)
    (latent_key, noise_key, _), (_, flip_key, label_key) = _critic_keys(key, state)
    real = _prepare(gan, images, noise_key, flip_key)
    latent = _latents(gan, latent_key, real.shape[0])
    fake_labels = labels
    if gan.conditional is not None and gan.conditional.fake_labels == "uniform":
        fake_labels = gan.conditional.draw(label_key, real.shape[0])
    fake = _fakes(
        gan,
        state.generator,
        latent,
        fake_labels,
        _update_key(key, _FAKES, state.critic_updates),
    )
    return critic_update(gan, state, Pairs(real, fake, labels, fake_labels), key)


def _by_label(measured: Sequence[Metrics]) -> Iterator[tuple[str, Metrics]]:
    """Yields the metrics of each lazily evaluated penalty, and a label of it."""
    return ((f"lazy/{i}/", term) for i, term in enumerate(measured))


def _labelled(measured: Sequence[Metrics]) -> Metrics:
    """Returns the metrics of lazily evaluated penalties with distinct names."""
    return {
        label + name: value
        for label, term in _by_label(measured)
        for name, value in term.items()
    }


def _fakes(
    gan: Gan, generator: PlayerState, latent: Array, labels: Array | None, key: PRNGKey
) -> Array:
    """Returns the fakes of a critic update, in the microbatches of the generator's."""

    def generate(rows: tuple[Array, Array | None], key: PRNGKey) -> Array:
        latent, labels = rows
        # The generator's batch statistics are updated only in its own update.
        return gan.generate(
            generator.params,
            generator.model_state,
            latent,
            train=True,
            labels=labels,
            key=key,
        )[0]

    if gan.microbatches == 1:
        return generate((latent, labels), key)
    indices = jnp.arange(gan.microbatches)
    parts = jax.lax.map(
        lambda x: generate(
            jax.tree.map(constrain_batch, x[0]), jax.random.fold_in(key, x[1])
        ),
        (split(gan, (latent, labels)), indices),
    )
    return joined(parts)


def critic_update(
    gan: Gan, state: GanState, pairs: Pairs, key: PRNGKey
) -> tuple[GanState, Metrics]:
    """Performs one critic update on given real and fake examples.

    Args:
        gan: static definition of the GAN.
        state: training state.
        pairs: real and fake examples, floating-point.
        key: PRNG key of the run; ``state.critic_updates`` is folded in.

    Returns:
        The new state, and metrics of the critic before its update:

        * ``critic/loss``;
        * ``critic/wasserstein_estimate``, or ``critic/score_gap`` for other
          objectives; ``critic/real_score`` and ``critic/fake_score``;
        * ``critic/penalty`` (weighted), and the metrics of the penalties (the
          latest ones of lazily evaluated penalties);
        * ``critic/class_loss`` and ``critic/class_accuracy`` of an auxiliary head;
        * the L2 norms ``critic/grad_norm``, ``critic/update_norm`` and
          ``critic/param_norm``;
        * the metrics of ``corrected_estimates``;
        * ``critic/augment_probability``, if it is scheduled or adaptive, and
          ``critic/real_sign`` (the mean sign of the real scores), if adaptive.

    Raises:
        ValueError: if the examples have different shapes, are not
            floating-point, or lack the labels that a conditional GAN requires,
            the labels are not those of its classes, or the critic is constant for
            one example.
    """
    check_arguments(gan, state, key)
    (_, _, term_key), (pass_key, _, _) = _critic_keys(key, state)
    keys = Keys(term_key, pass_key)
    _check_pairs(gan, pairs)
    check_examples(gan, critic=len(pairs.real) // gan.microbatches)
    pairs = pairs._replace(fake=jax.lax.stop_gradient(pairs.fake))
    critic = state.critic
    if gan.constrain_before_update and gan.constraint is not None:
        critic = critic.replace(params=gan.constraint(critic.params))
        state = state.replace(critic=critic)
    augmented = with_augmentation(gan, state)

    def gradients_of(model_state: PyTree, pairs: Pairs, keys: Keys) -> Any:
        given = model_state, state.penalties
        found, (moved, measured), metrics = critic_gradients(
            augmented, state, given, pairs, keys
        )
        # With the metrics, so that those of several parts are reduced alike.
        return found, moved, metrics | _labelled(measured)

    gradients, model_state, metrics = mean_gradients(
        gan, gradients_of, critic.model_state, pairs, keys
    )
    measured = tuple(
        {name: metrics.pop(label + name) for name in term}
        for label, term in _by_label(state.penalties)
    )
    critic, norms = apply_gradients(
        gan.critic_optimizer,
        critic,
        gradients,
        gan.learning_rate_scale(state.step),
        iteration=state.step,
    )
    if gan.constraint is not None and not gan.constrain_before_update:
        critic = critic.replace(params=gan.constraint(critic.params))
    metrics |= {f"critic/{name}": value for name, value in norms.items()}
    metrics |= corrected_estimates(gan, metrics, state.step)
    augmentation = state.augmentation
    if gan.augment_probability is not None:
        probability = gan.augment_probability
        metrics["critic/augment_probability"] = probability.at(augmentation, state.step)
        augmentation = probability.update(
            augmentation, metrics.get("critic/real_sign"), len(pairs.real)
        )
    new_state = state.replace(
        critic=critic.replace(model_state=model_state),
        critic_updates=state.critic_updates + 1,
        penalties=measured,
        augmentation=augmentation,
    )
    return new_state, metrics


def generator_step(
    gan: Gan,
    state: GanState,
    key: PRNGKey,
    *,
    batch_size: int,
    real: Batch | Array | None = None,
) -> tuple[GanState, Metrics]:
    """Performs one update of the generator and its EMA; the critic is unchanged.

    Args:
        gan: static definition of the GAN.
        state: training state.
        key: PRNG key of the run; ``state.step`` is folded in.
        batch_size: number B of latents to draw.
        real: ``[B, ...]`` real examples as for ``critic_step``; required for a
            paired objective.

    Returns:
        The new state, and metrics of the networks before the update:

        * ``generator/loss``;
        * ``critic/gradient_norm_at_fakes``, the mean gradient norm of the critic
          at the generated images. It adds no cost, because the generator's
          gradient is computed through it;
        * ``generator/class_loss`` and ``generator/class_accuracy`` of an auxiliary
          head;
        * ``generator/regularizer``, and the metrics of the regularizers;
        * the L2 norms ``generator/grad_norm``, ``generator/update_norm`` and
          ``generator/param_norm``.

    Raises:
        ValueError: if the objective is paired and the real examples are missing
            or their number is not ``batch_size``, or a network is constant for
            one example.

    Reference:
        Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, lines 9 to 11.
    """
    check_arguments(gan, state, key)
    part = batch_size // gan.microbatches
    check_examples(gan, generator=part, critic=part)
    latent_key = _update_key(key, _GENERATOR, state.step)
    passes = _update_key(key, _GENERATOR_PASSES, state.step)
    pass_key, term_key, label_key, noise_key, flip_key = jax.random.split(passes, 5)
    draws = Draws(_latents(gan, latent_key, batch_size))
    if gan.conditional is not None:
        draws = draws._replace(labels=gan.conditional.draw(label_key, batch_size))
    if gan.objective.paired:
        if real is None:
            raise ValueError(
                "real is missing: the objective compares each generated example with "
                "a real one. Pass real=images."
            )
        images, labels = examples(gan, real)
        if len(images) != batch_size:
            raise ValueError(
                "the objective pairs each generated example with a real one, but "
                f"there are {batch_size} latents and {len(images)} real examples; the "
                "numbers must be equal."
            )
        images = _prepare(gan, images, noise_key, flip_key)
        draws = draws._replace(real=images, real_labels=labels)
        if labels is not None:
            draws = draws._replace(labels=labels)
    generator = state.generator
    gradients, (model_state, remembered), metrics = mean_gradients(
        gan,
        partial(generator_gradients, with_augmentation(gan, state), state),
        (generator.model_state, state.regularizers),
        draws,
        Keys(term_key, pass_key, _update_key(key, _DRAWS, state.step)),
    )
    generator, norms = apply_gradients(
        gan.generator_optimizer,
        generator,
        gradients,
        gan.learning_rate_scale(state.step),
        iteration=state.step,
    )
    metrics |= {f"generator/{name}": value for name, value in norms.items()}
    state = state.replace(
        generator=generator.replace(model_state=model_state), regularizers=remembered
    )
    state = update_average(gan, state)
    return state.replace(step=state.step + 1), metrics


def train_step(
    gan: Gan, state: GanState, batch: Batch | Array, key: PRNGKey
) -> tuple[GanState, Metrics]:
    """Performs one iteration: N critic updates, then one generator update.

    Args:
        gan: static definition of the GAN.
        state: training state.
        batch: ``{"image": [N, B, ...], "label": [N, B]}`` or the images alone,
            uint8 or floating-point in [-1, 1]: one batch per critic update. A
            paired objective needs one more batch, the last, for the generator.
        key: PRNG key of the run, the same for all iterations.

    Returns:
        The new state, and the metrics of the last critic update and of the
        generator update, including ``corrected_estimate_at_fakes``.

    Raises:
        ValueError: as ``critic_step`` and ``generator_step``.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1.
    """
    check_arguments(gan, state, key)
    check_batch(gan, state, batch, axes=2)
    images, labels = examples(gan, batch)
    batches = (
        {"image": images} if labels is None else {"image": images, "label": labels}
    )
    real = None
    if gan.objective.paired:
        if len(images) < 2:
            raise ValueError(
                "there is 1 batch, but a paired objective uses the last batch for the "
                "generator; there must be one batch more than critic updates."
            )
        real = jax.tree.map(lambda x: x[-1], batches)
        batches = jax.tree.map(lambda x: x[:-1], batches)
    # A scan, so that compile time does not grow with n_critic.
    state, history = jax.lax.scan(
        lambda state, x: critic_step(gan, state, x, key), state, batches
    )
    metrics = jax.tree.map(lambda values: values[-1], history)
    batch_size = gan.generator_batch_size or images.shape[1]
    state, generator_metrics = generator_step(
        gan, state, key, batch_size=batch_size, real=real
    )
    metrics |= generator_metrics
    return state, metrics | corrected_estimate_at_fakes(gan, metrics)


def _check_pairs(gan: Gan, pairs: Pairs) -> None:
    if not isinstance(pairs, Pairs):
        raise ValueError(
            f"pairs is of type {type(pairs).__name__}; it must be Pairs(real, fake)."
        )
    real, fake = pairs.real, pairs.fake
    if 0 in real.shape:
        raise ValueError(f"Pairs: real has the shape {list(real.shape)}; no examples.")
    if real.shape != fake.shape or not (
        jnp.issubdtype(real.dtype, jnp.floating)
        and jnp.issubdtype(fake.dtype, jnp.floating)
    ):
        raise ValueError(
            f"Pairs: real is {real.dtype}{list(real.shape)} and fake is "
            f"{fake.dtype}{list(fake.shape)}; they must be floating point and have the "
            "same shape."
        )
    unlabelled = pairs.labels is None or pairs.fake_labels is None
    if gan.conditional is not None and unlabelled:
        raise ValueError(
            "Pairs: labels or fake_labels are missing; a conditional GAN needs both."
        )
    if gan.conditional is not None:
        for labels in (pairs.labels, pairs.fake_labels):
            check_labels(gan, labels, real.shape[:1])


def _critic_keys(key: PRNGKey, state: GanState) -> tuple[PRNGKey, PRNGKey]:
    """Returns two triples of keys: latents, noise, terms; and passes, flips, labels."""
    branches = _CRITIC, _CRITIC_PASSES
    first, second = (
        jax.random.split(_update_key(key, branch, state.critic_updates), 3)
        for branch in branches
    )
    return first, second


def _update_key(key: PRNGKey, player: int, count: Array) -> PRNGKey:
    return jax.random.fold_in(jax.random.fold_in(key, player), count)


def _latents(gan: Gan, key: PRNGKey, n: int) -> Array:
    z = find_prior(gan.prior).draw(key, (n, gan.latent_size), None)
    return constrain_batch(z)


def _prepare(gan: Gan, images: Array, noise_key: PRNGKey, flip_key: PRNGKey) -> Array:
    images = normalize_images(images, noise_key, dequantize=gan.dequantize)
    return random_flip(images, flip_key) if gan.flip else images


def train_steps(
    gan: Gan, state: GanState, batches: Batch | Array, key: PRNGKey
) -> tuple[GanState, Metrics]:
    """Performs K iterations, equal to K calls of ``train_step`` but traced once.

    Args:
        gan: static definition of the GAN.
        state: training state.
        batches: ``{"image": [K, N, B, ...], "label": [K, N, B]}`` or the images
            alone: the batches of ``train_step`` for each iteration.
        key: PRNG key of the run, the same for all iterations.

    Returns:
        The state after the last iteration, and the metrics of each iteration,
        ``[K]`` by name.

    Raises:
        ValueError: as ``train_step``.
    """
    check_arguments(gan, state, key)
    check_batch(gan, state, batches, axes=3)

    def one(state: GanState, batch: Any) -> tuple[GanState, Metrics]:
        return train_step(gan, state, batch, key)

    return jax.lax.scan(one, state, batches)
