"""What each player minimises, put together from a Gan's parts, and its gradient."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from wgan_jax.conditioning import class_loss
from wgan_jax.gan import Gan, GanState
from wgan_jax.losses.gradients import example_norms
from wgan_jax.losses.objectives import wasserstein_estimate
from wgan_jax.modules import CriticOutput
from wgan_jax.terms import Term
from wgan_jax.types import Array, Metrics, Params, PRNGKey, PyTree


class Pairs(NamedTuple):
    """What a critic's update sees.

    Attributes:
        real: ``[B, ...]``.
        fake: ``[B, ...]``, without gradient.
        labels: int32 ``[B]`` of the real ones, or None.
        fake_labels: int32 ``[B]``, or None.
    """

    real: Array
    fake: Array
    labels: Array | None = None
    fake_labels: Array | None = None


class Draws(NamedTuple):
    """What a generator's update starts from.

    Attributes:
        latent: ``[B, Z]``.
        labels: int32 ``[B]`` to generate, or None.
        real: ``[B, ...]`` for a paired objective, or None.
        real_labels: int32 ``[B]``, or None.
    """

    latent: Array
    labels: Array | None = None
    real: Array | None = None
    real_labels: Array | None = None


class Keys(NamedTuple):
    """Random keys of a loss: of its terms, and of the passes through the critic."""

    terms: PRNGKey
    passes: PRNGKey


def critic_gradients(
    gan: Gan,
    state: GanState,
    model_state: PyTree,
    pairs: Pairs,
    keys: Keys,
) -> tuple[PyTree, PyTree, Metrics]:
    r"""The gradient of the critic's loss with respect to its parameters.

    .. math:: L = L_C(f(x), f(\tilde x)) + \textstyle\sum_i w_i P_i
        + w_y\, \mathbb{E}[-\log p(y \mid x)]

    Args:
        gan: the static parts.
        state: a run's arrays; the critic's parameters are taken from it.
        model_state: the critic's, at the start of this part of the batch.
        pairs: real and fake examples.
        keys: used up here.

    Returns:
        The gradient, the critic's new model state and the metrics.
    """

    def loss_fn(params: Params) -> tuple[Array, tuple[PyTree, Metrics]]:
        real_key, fake_key, penalty_key = jax.random.split(keys.passes, 3)
        # Two passes: with batch norm, real and fake examples are normed apart.
        real, moved = gan.score(
            params,
            model_state,
            pairs.real,
            train=True,
            labels=pairs.labels,
            key=real_key,
        )
        fake, moved = gan.score(
            params,
            moved,
            pairs.fake,
            train=True,
            labels=pairs.fake_labels,
            key=fake_key,
        )
        loss = gan.objective.critic_loss(real.scores, fake.scores)
        metrics: Metrics = {
            gan.objective.gap_name: wasserstein_estimate(real.scores, fake.scores),
            "critic/real_score": jnp.mean(real.scores),
            "critic/fake_score": jnp.mean(fake.scores),
        }
        if gan.penalties:
            critic_fn = gan.critic_fn(
                params, moved, labels=pairs.labels, key=penalty_key
            )
            total = jnp.zeros_like(loss)
            for i, term in enumerate(gan.penalties):
                key = jax.random.fold_in(keys.terms, i)
                value, reported = _penalty(term, critic_fn, pairs, key, state)
                total += value
                metrics |= reported
            loss += total
            metrics["critic/penalty"] = total
        if gan.conditional is not None and real.class_logits is not None:
            assert pairs.labels is not None
            value, accuracy = class_loss(real.class_logits, pairs.labels)
            loss += gan.conditional.critic_weight * value
            metrics["critic/class_loss"] = value
            metrics["critic/class_accuracy"] = accuracy
        metrics["critic/loss"] = loss
        return loss, (moved, metrics)

    gradients, (moved, metrics) = jax.grad(loss_fn, has_aux=True)(state.critic.params)
    return gradients, moved, metrics


def generator_gradients(
    gan: Gan,
    state: GanState,
    model_state: tuple[PyTree, tuple[PyTree, ...]],
    draws: Draws,
    keys: Keys,
) -> tuple[PyTree, tuple[PyTree, tuple[PyTree, ...]], Metrics]:
    r"""The gradient of the generator's loss with respect to its parameters.

    .. math:: L = L_G(f(G(z))) + w_y\, \mathbb{E}[-\log p(y \mid G(z))]
        + \textstyle\sum_i w_i R_i

    Args:
        gan: the static parts.
        state: a run's arrays; the parameters are taken from it.
        model_state: the generator's and the regularizers', at the start of this
            part of the batch.
        draws: latents, and what else the objective asks for.
        keys: used up here.

    Returns:
        The gradient, the new model states and the metrics.
    """
    critic = state.critic
    fake_key, real_key = jax.random.split(keys.passes)

    def generate(params: Params) -> tuple[Array, PyTree]:
        return gan.generate(
            params, model_state[0], draws.latent, train=True, labels=draws.labels
        )

    def score(images: Array, labels: Array | None, key: PRNGKey) -> CriticOutput:
        return gan.score(
            critic.params,
            critic.model_state,
            images,
            train=True,
            labels=labels,
            key=key,
        )[0]

    def score_fakes(images: Array) -> tuple[Array, Array | None]:
        output = score(images, draws.labels, fake_key)
        return output.scores, output.class_logits

    objective_loss = gan.objective.generator_loss
    if gan.objective.paired:
        assert draws.real is not None
        real_scores = score(draws.real, draws.real_labels, real_key).scores

        def objective_loss(scores: Array) -> Array:
            return gan.objective.generator_loss(real_scores, scores)

    fake, pull, moved = jax.vjp(generate, state.generator.params, has_aux=True)
    (scores, logits), pull_critic = jax.vjp(score_fakes, fake)
    loss, score_grads = jax.value_and_grad(objective_loss)(scores)
    no_class = None if logits is None else jnp.zeros_like(logits)
    (fake_grads,) = pull_critic((score_grads, no_class))
    metrics: Metrics = {
        "critic/gradient_norm_at_fakes": _mean_slope(fake_grads, score_grads)
    }
    if gan.conditional is not None and logits is not None:
        (value, accuracy), logit_grads = jax.value_and_grad(class_loss, has_aux=True)(
            logits, draws.labels
        )
        weight = gan.conditional.generator_weight
        (more,) = pull_critic((jnp.zeros_like(scores), weight * logit_grads))
        fake_grads = fake_grads + more
        loss += weight * value
        metrics["generator/class_loss"] = value
        metrics["generator/class_accuracy"] = accuracy
    (gradients,) = pull(fake_grads)
    regularized, remembered, reported = _regularize(
        gan, state, model_state, draws, keys
    )
    gradients = jax.tree.map(jnp.add, gradients, regularized)
    metrics |= reported
    metrics["generator/loss"] = loss + reported.get("generator/regularizer", 0.0)
    return gradients, (moved, remembered), metrics


def _penalty(
    term: Term, critic_fn: Any, pairs: Pairs, key: PRNGKey, state: GanState
) -> tuple[Array, Metrics]:
    """A term with its weight, zero in the updates that leave it out."""

    def compute() -> tuple[Array, Metrics]:
        result = term.function(critic_fn, pairs.real, pairs.fake, key)
        value, reported = result if isinstance(result, tuple) else (result, {})
        return term.weight_at(state.step) * value, reported

    if term.every == 1:
        value, reported = compute()
    else:
        # What is measured on the way is not reported: most updates have none.
        value, _ = _every(
            term.every, state.critic_updates, lambda: (compute()[0], None), None
        )
        reported = {}
    if term.name:
        reported = reported | {f"critic/penalty/{term.name}": value}
    return value, reported


def _regularize(
    gan: Gan,
    state: GanState,
    model_state: tuple[PyTree, tuple[PyTree, ...]],
    draws: Draws,
    keys: Keys,
) -> tuple[PyTree, tuple[PyTree, ...], Metrics]:
    """Summed gradient of all regularizers, what they remember, and metrics."""
    total: PyTree = jax.tree.map(jnp.zeros_like, state.generator.params)
    remembered: list[PyTree] = []
    metrics: Metrics = {}

    def compute(term: Term, memory: PyTree, key: PRNGKey) -> tuple[Array, Any, Any]:
        def loss_fn(params: Params) -> tuple[Array, PyTree]:
            def generate_fn(latent: Array) -> Array:
                return gan.generate(
                    params, model_state[0], latent, train=False, labels=draws.labels
                )[0]

            value, new = term.function.apply(generate_fn, draws.latent, key, memory)
            return term.weight_at(state.step) * value, new

        (value, new), gradients = jax.value_and_grad(loss_fn, has_aux=True)(
            state.generator.params
        )
        return value, gradients, new

    for i, (term, memory) in enumerate(
        zip(gan.regularizers, model_state[1], strict=True)
    ):
        run = partial(compute, term, memory, jax.random.fold_in(keys.terms, i))
        if term.every > 1:
            run = partial(_every, term.every, state.step, run, memory)
        value, gradients, new = run()
        total = jax.tree.map(jnp.add, total, gradients)
        remembered.append(new)
        metrics |= term.function.report(new)
        if term.name:
            metrics[f"generator/regularizer/{term.name}"] = value
        sum_before = metrics.get("generator/regularizer", jnp.zeros(()))
        metrics["generator/regularizer"] = sum_before + value
    return total, tuple(remembered), metrics


def _every(interval: int, count: Array, compute: Any, memory: PyTree) -> Any:
    """``compute()`` if the interval divides the count, else zeros and the memory."""
    *shapes, _ = jax.eval_shape(compute)
    return jax.lax.cond(
        count % interval == 0,
        compute,
        lambda: (
            *jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes),
            memory,
        ),
    )


def _mean_slope(fake_grads: Array, score_grads: Array) -> Array:
    # The chain rule's factor d loss / d score_i is divided out again.
    norms = example_norms(fake_grads)
    factors = jnp.abs(score_grads).astype(norms.dtype)
    counts = factors > 0
    return jnp.mean(jnp.where(counts, norms / jnp.where(counts, factors, 1), 0))
