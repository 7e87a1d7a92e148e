"""The updates of a GAN as pure functions, and the same compiled for a mesh.

``key`` is the run's key everywhere and the same for all steps: each update
folds its own counter from the state into it. So no update repeats another's
random numbers, a resumed run repeats the unbroken one, and N calls of
``critic_step`` and one of ``generator_step`` are ``train_step``.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.stages import Wrapped

from wgan_jax.compilation import compiler_options
from wgan_jax.gan import Gan, GanState
from wgan_jax.losses.objectives import wasserstein_estimate
from wgan_jax.losses.penalties import example_norms
from wgan_jax.sharding import make_mesh, replicated, split_batches, spread, within
from wgan_jax.types import Array, Batch, Metrics, Params, PRNGKey, PyTree
from wgan_jax.updates import descend, normalize_images, update_average

_CRITIC, _GENERATOR = 0, 1  # branches of the run's key


def critic_step(
    gan: Gan, state: GanState, images: Array, key: PRNGKey
) -> tuple[GanState, Metrics]:
    """One update of the critic; the generator's arrays stay as they are.

    Args:
        gan: the static parts.
        state: a run's arrays.
        images: ``[B, ...]`` real examples, uint8 or floating in [-1, 1].
        key: the run's key; ``state.critic_updates`` is folded in.

    Returns:
        The new state, and of the critic before its update: ``critic/loss``,
        ``critic/wasserstein_estimate``, the weighted ``critic/penalty`` and
        what the penalties report; and the L2 norms ``critic/grad_norm``,
        ``critic/update_norm``, ``critic/param_norm``.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1, lines 3 to 9;
        Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, lines 3 to 7.
    """
    key = _update_key(key, _CRITIC, state.critic_updates)
    latent_key, noise_key, penalty_key = jax.random.split(key, 3)
    real = normalize_images(images, noise_key, dequantize=gan.dequantize)
    latent = _latents(gan, latent_key, real.shape[0])
    generator, critic = state.generator, state.critic
    # Batch statistics of the generator belong to its own update.
    fake, _ = gan.generate(generator.params, generator.model_state, latent, train=True)
    fake = jax.lax.stop_gradient(fake)
    if gan.constrain_before_update and gan.constraint is not None:
        critic = critic.replace(params=gan.constraint(critic.params))

    def loss_fn(params: Params) -> tuple[Array, tuple[PyTree, Metrics]]:
        return _critic_loss(gan, params, critic.model_state, real, fake, penalty_key)

    (_, (model_state, metrics)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
        critic.params
    )
    critic, norms = descend(
        gan.critic_optimizer, critic, grads, gan.learning_rate_scale(state.step)
    )
    if gan.constraint is not None and not gan.constrain_before_update:
        critic = critic.replace(params=gan.constraint(critic.params))
    metrics |= {f"critic/{name}": value for name, value in norms.items()}
    new_state = state.replace(
        critic=critic.replace(model_state=model_state),
        critic_updates=state.critic_updates + 1,
    )
    return new_state, metrics


def generator_step(
    gan: Gan, state: GanState, key: PRNGKey, *, batch_size: int
) -> tuple[GanState, Metrics]:
    """One update of the generator and its average; the critic stays as it is.

    Args:
        gan: the static parts.
        state: a run's arrays.
        key: the run's key; ``state.step`` is folded in.
        batch_size: latents to draw, B.

    Returns:
        The new state, and of the players before the update: ``generator/loss``
        and ``critic/gradient_norm_at_fakes``, the mean slope of the critic at
        the images drawn (it costs nothing: the generator's gradient runs
        through it); and the L2 norms ``generator/grad_norm``,
        ``generator/update_norm``, ``generator/param_norm``.

    Reference:
        Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, lines 9 to 11.
    """
    latent = _latents(gan, _update_key(key, _GENERATOR, state.step), batch_size)
    generator, critic = state.generator, state.critic

    def generate(params: Params) -> tuple[Array, PyTree]:
        return gan.generate(params, generator.model_state, latent, train=True)

    def score(images: Array) -> Array:
        return gan.score(critic.params, critic.model_state, images, train=True)[0]

    fake, generator_vjp, model_state = jax.vjp(generate, generator.params, has_aux=True)
    scores, critic_vjp = jax.vjp(score, fake)
    loss, loss_grads = jax.value_and_grad(gan.objective.generator_loss)(scores)
    (fake_grads,) = critic_vjp(loss_grads)
    (grads,) = generator_vjp(fake_grads)
    new_generator, norms = descend(
        gan.generator_optimizer, generator, grads, gan.learning_rate_scale(state.step)
    )
    new_generator = new_generator.replace(model_state=model_state)
    metrics = {
        "generator/loss": loss,
        "critic/gradient_norm_at_fakes": _mean_slope(fake_grads, loss_grads),
    } | {f"generator/{name}": value for name, value in norms.items()}
    state = update_average(gan, state.replace(generator=new_generator))
    return state.replace(step=state.step + 1), metrics


def train_step(
    gan: Gan, state: GanState, batch: Batch | Array, key: PRNGKey
) -> tuple[GanState, Metrics]:
    """One iteration: N critic updates, then one generator update.

    Args:
        gan: the static parts.
        state: a run's arrays.
        batch: ``{"image": [N, B, ...]}`` or the images alone, uint8 or
            floating in [-1, 1]: a fresh batch for each critic update.
        key: the run's key, the same for all iterations.

    Returns:
        The new state, and the metrics of the last critic update and of the
        generator update.

    Reference:
        Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1.
    """
    images = batch["image"] if isinstance(batch, Mapping) else batch
    # One body, not N copies: compile time does not grow with n_critic.
    state, history = jax.lax.scan(
        lambda state, x: critic_step(gan, state, x, key), state, images
    )
    metrics = jax.tree.map(lambda values: values[-1], history)
    batch_size = gan.generator_batch_size or images.shape[1]
    state, generator_metrics = generator_step(gan, state, key, batch_size=batch_size)
    return state, metrics | generator_metrics


def make_train_step(
    gan: Gan, mesh: Mesh | None = None, *, donate: bool = True
) -> Wrapped:
    """``train_step`` compiled once for a mesh.

    Args:
        gan: the static parts.
        mesh: devices to split each batch among; the default device if None.
        donate: let the new state take the old one's memory. The old state can
            then not be used again.

    Returns:
        ``step(state, batch, key) -> (state, metrics)``, a jitted function; it
        compiles anew for each N.
    """

    def step(state: GanState, batch: Batch | Array, key: PRNGKey) -> Any:
        return train_step(gan, state, batch, key)

    mesh = mesh or _default_mesh()
    return _compiled(step, mesh, (split_batches(mesh), replicated(mesh)), donate)


def make_critic_step(
    gan: Gan, mesh: Mesh | None = None, *, donate: bool = True
) -> Wrapped:
    """``critic_step`` compiled once for a mesh.

    Args:
        gan: the static parts.
        mesh: as for ``make_train_step``.
        donate: as for ``make_train_step``.

    Returns:
        ``step(state, images [B, ...], key) -> (state, metrics)``.
    """

    def step(state: GanState, images: Array, key: PRNGKey) -> Any:
        return critic_step(gan, state, spread(images), key)

    mesh = mesh or _default_mesh()
    return _compiled(step, mesh, (None, replicated(mesh)), donate)


def make_generator_step(
    gan: Gan, mesh: Mesh | None = None, *, batch_size: int, donate: bool = True
) -> Wrapped:
    """``generator_step`` compiled once for a mesh.

    Args:
        gan: the static parts.
        mesh: as for ``make_train_step``.
        batch_size: latents to draw.
        donate: as for ``make_train_step``.

    Returns:
        ``step(state, key) -> (state, metrics)``.
    """

    def step(state: GanState, key: PRNGKey) -> Any:
        return generator_step(gan, state, key, batch_size=batch_size)

    mesh = mesh or _default_mesh()
    return _compiled(step, mesh, (replicated(mesh),), donate)


def _default_mesh() -> Mesh:
    return make_mesh(jax.devices()[:1])


def _compiled(
    step: Callable[..., Any], mesh: Mesh, inputs: tuple[Any, ...], donate: bool
) -> Wrapped:
    whole = replicated(mesh)
    return jax.jit(
        within(mesh, step),
        in_shardings=(whole, *inputs),
        out_shardings=(whole, whole),
        donate_argnums=0 if donate else (),
        compiler_options=compiler_options(mesh.devices.flat[0].platform),
    )


def _update_key(key: PRNGKey, player: int, count: Array) -> PRNGKey:
    return jax.random.fold_in(jax.random.fold_in(key, player), count)


def _latents(gan: Gan, key: PRNGKey, n: int) -> Array:
    return spread(jax.random.normal(key, (n, gan.latent_size)))


def _critic_loss(
    gan: Gan,
    params: Params,
    model_state: PyTree,
    real: Array,
    fake: Array,
    key: PRNGKey,
) -> tuple[Array, tuple[PyTree, Metrics]]:
    # Two passes: with batch norm, real and fake examples are normed apart.
    real_scores, model_state = gan.score(params, model_state, real, train=True)
    fake_scores, model_state = gan.score(params, model_state, fake, train=True)
    loss = gan.objective.critic_loss(real_scores, fake_scores)
    metrics: Metrics = {
        "critic/wasserstein_estimate": wasserstein_estimate(real_scores, fake_scores)
    }
    critic_fn = gan.critic_fn(params, model_state)
    if gan.penalties:
        total = jnp.zeros_like(loss)
        for i, (penalty, weight) in enumerate(gan.penalties):
            result = penalty(critic_fn, real, fake, jax.random.fold_in(key, i))
            value, reported = result if isinstance(result, tuple) else (result, {})
            total += weight * value
            metrics |= reported
        loss += total
        metrics["critic/penalty"] = total
    metrics["critic/loss"] = loss
    return loss, (model_state, metrics)


def _mean_slope(fake_grads: Array, score_grads: Array) -> Array:
    # The chain rule's factor d loss / d score_i is divided out again.
    norms = example_norms(fake_grads)
    factors = jnp.abs(score_grads).astype(norms.dtype)
    counts = factors > 0
    return jnp.mean(jnp.where(counts, norms / jnp.where(counts, factors, 1), 0))
