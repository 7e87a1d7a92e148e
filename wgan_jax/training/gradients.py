"""Losses of the generator and the critic of a Gan, and their gradients."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from wgan_jax.gan import Gan, GanState, PlayerState
from wgan_jax.losses.classification import class_loss
from wgan_jax.losses.gradients import example_norms
from wgan_jax.losses.objectives import wasserstein_estimate
from wgan_jax.losses.terms import sum_penalties, sum_regularizers
from wgan_jax.modules import CriticOutput, uses_joint_pass
from wgan_jax.types import Array, Metrics, Params, PRNGKey, PyTree


class Pairs(NamedTuple):
    """Inputs of a critic update.

    Attributes:
        real: ``[B, ...]`` real examples.
        fake: ``[B, ...]`` generated examples, without gradient.
        labels: int32 ``[B]`` labels of the real examples, or None.
        fake_labels: int32 ``[B]`` labels of the generated examples, or None.
    """

    real: Array
    fake: Array
    labels: Array | None = None
    fake_labels: Array | None = None


class Draws(NamedTuple):
    """Inputs of a generator update.

    Attributes:
        latent: ``[B, Z]``.
        labels: int32 ``[B]`` labels to generate, or None.
        real: ``[B, ...]`` real examples for a paired objective, or None.
        real_labels: int32 ``[B]`` labels of the real examples, or None.
    """

    latent: Array
    labels: Array | None = None
    real: Array | None = None
    real_labels: Array | None = None


class Keys(NamedTuple):
    """PRNG keys of a loss.

    Attributes:
        terms: for its terms.
        passes: for the passes through the critic.
        generator: for the pass through the generator, or None.
    """

    terms: PRNGKey
    passes: PRNGKey
    generator: PRNGKey | None = None


def critic_gradients(
    gan: Gan,
    state: GanState,
    model_state: tuple[PyTree, tuple[Metrics, ...]],
    pairs: Pairs,
    keys: Keys,
) -> tuple[PyTree, tuple[PyTree, tuple[Metrics, ...]], Metrics]:
    r"""Computes the gradient of the critic loss with respect to its parameters.

    .. math:: L = L_C(f(x), f(\tilde x)) + \textstyle\sum_i w_i P_i
        + w_y\, \mathbb{E}[-\log p(y \mid x)]

    Args:
        gan: static definition of the GAN.
        state: training state, with the critic parameters.
        model_state: critic model state and latest metrics of lazily evaluated
            penalties, before this part of the batch.
        pairs: real and fake examples.
        keys: PRNG keys, consumed.

    Returns:
        The gradient, the new model state and penalty metrics, and the metrics.
    """
    real_key, fake_key, penalty_key = jax.random.split(keys.passes, 3)

    def loss_fn(params: Params) -> tuple[Array, Any]:
        real, fake, moved = _score_pairs(
            gan, params, model_state[0], pairs, real_key, fake_key
        )
        loss = gan.objective.critic_loss(real.scores, fake.scores)
        metrics: Metrics = {
            gan.gap_name: wasserstein_estimate(real.scores, fake.scores),
            "critic/real_score": jnp.mean(real.scores),
            "critic/fake_score": jnp.mean(fake.scores),
        }
        if gan.augment_probability is not None and gan.augment_probability.needs_scores:
            metrics["critic/real_sign"] = jnp.mean(jnp.sign(real.scores))
        critic_fn = gan.critic_fn(params, moved, labels=pairs.labels, key=penalty_key)
        penalty, measured, reported = sum_penalties(
            gan.penalties,
            model_state[1],
            lambda f, k: f(critic_fn, pairs.real, pairs.fake, k),
            keys.terms,
            step=state.step,
            count=state.critic_updates,
        )
        logged = loss + reported.get("critic/penalty", 0.0)
        loss += penalty
        if gan.conditional is not None and real.class_logits is not None:
            assert pairs.labels is not None  # ensured by critic_update
            value, accuracy = class_loss(real.class_logits, pairs.labels)
            loss += gan.conditional.critic_weight * value
            logged += gan.conditional.critic_weight * value
            metrics["critic/class_loss"] = value
            metrics["critic/class_accuracy"] = accuracy
        metrics |= reported | {"critic/loss": logged}
        return loss, ((moved, measured), metrics)

    gradients, (moved, metrics) = jax.grad(loss_fn, has_aux=True)(state.critic.params)
    return gradients, moved, metrics


def _score_pairs(
    gan: Gan,
    params: Params,
    model_state: PyTree,
    pairs: Pairs,
    real_key: PRNGKey,
    fake_key: PRNGKey,
) -> tuple[CriticOutput, CriticOutput, PyTree]:
    """Scores both kinds of examples, in one pass if possible."""

    def score(images: Array, moved: PyTree, labels: Any, key: PRNGKey) -> Any:
        return gan.score(params, moved, images, train=True, labels=labels, key=key)

    if not uses_joint_pass(gan.critic, model_state):
        # Two passes: batch normalization must use separate statistics for each kind.
        real, moved = score(pairs.real, model_state, pairs.labels, real_key)
        fake, moved = score(pairs.fake, moved, pairs.fake_labels, fake_key)
        return real, fake, moved

    def both(a: Array, b: Array) -> Array:
        # Interleaved, so that examples stay on their device of the mesh.
        return jnp.stack([a, b], 1).reshape(-1, *a.shape[1:])

    labels = None
    if pairs.labels is not None and pairs.fake_labels is not None:
        labels = both(pairs.labels, pairs.fake_labels)
    output, moved = score(both(pairs.real, pairs.fake), model_state, labels, real_key)
    real, fake = (jax.tree.map(lambda x, i=i: x[i::2], output) for i in (0, 1))
    return real, fake, moved


def generator_gradients(
    gan: Gan,
    state: GanState,
    model_state: tuple[PyTree, tuple[PyTree, ...]],
    draws: Draws,
    keys: Keys,
) -> tuple[PyTree, tuple[PyTree, tuple[PyTree, ...]], Metrics]:
    r"""Computes the gradient of the generator loss with respect to its parameters.

    .. math:: L = L_G(f(G(z))) + w_y\, \mathbb{E}[-\log p(y \mid G(z))]
        + \textstyle\sum_i w_i R_i

    Args:
        gan: static definition of the GAN.
        state: training state, with the parameters of both networks.
        model_state: generator model state and state of the regularizers, before
            this part of the batch.
        draws: latents, and the other inputs that the objective needs.
        keys: PRNG keys, consumed.

    Returns:
        The gradient, the new model state and regularizer states, and the
        metrics.
    """

    def generate(params: Params) -> tuple[Array, PyTree]:
        return gan.generate(
            params,
            model_state[0],
            draws.latent,
            train=True,
            labels=draws.labels,
            key=keys.generator,
        )

    fake, pull, moved = jax.vjp(generate, state.generator.params, has_aux=True)
    loss, fake_grads, metrics = _judge(gan, state.critic, fake, draws, keys.passes)
    (gradients,) = pull(fake_grads)

    def generate_fn(params: Params, latent: Array) -> Array:
        return gan.generate(
            params, model_state[0], latent, train=False, labels=draws.labels
        )[0]

    regularized, remembered, reported = sum_regularizers(
        gan.regularizers,
        model_state[1],
        lambda f, params, k, m: f(partial(generate_fn, params), draws.latent, k, m),
        state.generator.params,
        keys.terms,
        step=state.step,
    )
    gradients = jax.tree.map(jnp.add, gradients, regularized)
    metrics |= reported
    metrics["generator/loss"] = loss + reported.get("generator/regularizer", 0.0)
    return gradients, (moved, remembered), metrics


def _judge(
    gan: Gan, critic: PlayerState, fake: Array, draws: Draws, key: PRNGKey
) -> tuple[Array, Array, Metrics]:
    """Returns the generator loss on images, its gradient there, and the metrics."""
    fake_key, real_key = jax.random.split(key)

    def score(images: Array, labels: Array | None, key: PRNGKey) -> Any:
        output, _ = gan.score(
            critic.params,
            critic.model_state,
            images,
            train=True,
            labels=labels,
            key=key,
        )
        return output.scores, output.class_logits

    objective_loss = gan.objective.generator_loss
    if gan.objective.paired:
        assert draws.real is not None
        real_scores, _ = score(draws.real, draws.real_labels, real_key)
        objective_loss = partial(gan.objective.generator_loss, real_scores)

    (scores, logits), pull = jax.vjp(lambda x: score(x, draws.labels, fake_key), fake)
    loss, score_grads = jax.value_and_grad(objective_loss)(scores)
    # A power of two, so scaling is exact. A confident critic has gradients so small
    # that their norms would underflow.
    scale = _power_of_two(score_grads)
    no_class = None if logits is None else jnp.zeros_like(logits)
    (scaled_grads,) = pull((score_grads * scale, no_class))
    gradient_norm = _mean_gradient_norm(scaled_grads, score_grads * scale)
    metrics: Metrics = {"critic/gradient_norm_at_fakes": gradient_norm}
    fake_grads = scaled_grads / scale.astype(scaled_grads.dtype)
    if gan.conditional is not None and logits is not None:
        (value, accuracy), logit_grads = jax.value_and_grad(class_loss, has_aux=True)(
            logits, draws.labels
        )
        weight = gan.conditional.generator_weight
        (more,) = pull((jnp.zeros_like(scores), weight * logit_grads))
        fake_grads = fake_grads + more
        loss += weight * value
        metrics["generator/class_loss"] = value
        metrics["generator/class_accuracy"] = accuracy
    return loss, fake_grads, metrics


def _power_of_two(x: Array) -> Array:
    """Returns a power of two that scales the maximum of ``x`` near 1; 1 if all 0."""
    _, exponent = jnp.frexp(jnp.max(jnp.abs(x)))
    # The reciprocal of a number below the normal ones is infinite.
    most = jnp.finfo(x.dtype).maxexp - 2
    return jnp.ldexp(jnp.ones((), x.dtype), jnp.minimum(-exponent, most))


def _mean_gradient_norm(fake_grads: Array, score_grads: Array) -> Array:
    # Divide by the chain-rule factor d loss / d score_i, for the examples where it is
    # not negligible.
    norms = example_norms(fake_grads)
    factors = jnp.abs(score_grads).astype(norms.dtype)
    counts = factors > 1e-6
    values = jnp.where(counts, norms / jnp.where(counts, factors, 1), 0)
    # Reduced together: on several devices, a separate reduction often has no data
    # dependency and may overtake other collectives. Two CPU devices then deadlock.
    total, count = jnp.sum(jnp.stack([values, counts.astype(norms.dtype)]), axis=1)
    return total / jnp.maximum(count, 1)
