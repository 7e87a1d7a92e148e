"""Tests of the pure training steps and their metrics."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from tiny import TinyCritic, tiny_gan

from wgan_jax.losses import clip_weights, gradient_norms, gradient_penalty
from wgan_jax.training import steps as steps_module
from wgan_jax.training.compiled import (
    make_critic_step,
    make_generator_step,
    make_train_step,
    make_train_steps,
)
from wgan_jax.training.init import abstract_state, init_state
from wgan_jax.training.steps import critic_step, generator_step, train_step
from wgan_jax.training.updates import normalize_images


def same(a, b):
    leaves_a, leaves_b = jax.tree.leaves(a), jax.tree.leaves(b)
    return len(leaves_a) == len(leaves_b) and all(
        np.array_equal(x, y) for x, y in zip(leaves_a, leaves_b, strict=True)
    )


def estimate(gan, state, real, key):
    """Returns E f(real) - E f(fake) with new latents, from public functions only."""
    latent = jax.random.normal(key, (512, gan.latent_size))
    g, c = state.generator, state.critic
    fake, _ = gan.generate(g.params, g.model_state, latent, train=True)
    critic = gan.critic_fn(c.params, c.model_state)
    return float(critic(real).mean() - critic(fake).mean()), float(critic(fake).mean())


def test_critic_step_does_not_change_the_generator(gan, key, images):
    state = init_state(gan, key)
    after, _ = jax.jit(lambda s: critic_step(gan, s, images[0], key))(state)
    assert same(after.generator, state.generator)
    assert same(after.ema_params, state.ema_params)
    assert same(after.step, state.step)
    assert int(after.critic_updates) == 1
    assert not same(after.critic.params, state.critic.params)


def test_generator_step_does_not_change_the_critic(gan, key):
    state = init_state(gan, key)
    after, _ = jax.jit(lambda s: generator_step(gan, s, key, batch_size=8))(state)
    assert same(after.critic, state.critic)
    assert same(after.critic_updates, state.critic_updates)
    assert int(after.step) == 1
    assert not same(after.generator.params, state.generator.params)
    assert not same(after.generator.model_state, state.generator.model_state)


def test_critic_loss_has_no_generator_gradient(gan, key, images):
    state = init_state(gan, key)

    def loss(generator_params):
        moved = state.replace(
            generator=state.generator.replace(params=generator_params)
        )
        return critic_step(gan, moved, images[0], key)[1]["critic/loss"]

    grads = jax.grad(loss)(state.generator.params)
    assert all(not bool(jnp.any(g)) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize("constraint", [None, "clip"])
def test_steps_change_scores_in_the_right_direction(key, images, constraint):
    changes = {"constraint": lambda p: clip_weights(p, bound=0.05)}
    gan = tiny_gan(**(changes | {"penalties": ()} if constraint else {}))
    real = jnp.clip(normalize_images(images[0], key, dequantize=False), 0.2, 1.0)
    state = init_state(gan, key)
    probe = jax.random.key(123)
    before, _ = estimate(gan, state, real, probe)
    # All of them are bright, so that they could be in [0, 1].
    critic = make_critic_step(gan, donate=False, check_values=False)
    for _ in range(150):
        state, _ = critic(state, real, key)
    trained, low = estimate(gan, state, real, probe)
    assert trained > before + 1e-3
    generator = make_generator_step(gan, batch_size=64, donate=False)
    for _ in range(20):
        state, _ = generator(state, key)
    assert estimate(gan, state, real, probe)[1] > low + 1e-4


def test_train_step_equals_its_separate_steps(gan, key, images):
    state = init_state(gan, key)
    whole, metrics = make_train_step(gan, donate=False)(state, {"image": images}, key)
    critic = make_critic_step(gan, donate=False)
    parts = state
    for batch in images:
        parts, critic_metrics = critic(parts, batch, key)
    generator = make_generator_step(gan, batch_size=8, donate=False)
    parts, generator_metrics = generator(parts, key)
    chex.assert_trees_all_close(whole, parts, rtol=1e-5, atol=1e-6)
    chex.assert_trees_all_close(
        metrics, critic_metrics | generator_metrics, rtol=1e-4, atol=1e-5
    )
    assert int(whole.critic_updates) == 3


def test_train_steps_equal_k_train_steps(gan, key, images, monkeypatch):
    batches = jnp.stack([images, images[::-1], images // 2, images[:, ::-1]])
    state, each = init_state(gan, key), []
    step = make_train_step(gan, donate=False)
    for batch in batches:
        state, metrics = step(state, batch, key)
        each.append(metrics)
    once = chex.assert_max_traces(train_step, n=1)
    monkeypatch.setattr(steps_module, "train_step", once)
    steps = make_train_steps(gan, donate=False)
    whole, found = steps(init_state(gan, key), {"image": batches}, key)
    chex.assert_trees_all_close(whole, state, rtol=1e-5, atol=1e-6)
    expected = jax.tree.map(lambda *values: jnp.stack(values), *each)
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (int(whole.step), int(whole.critic_updates)) == (4, 12)


def test_images_without_dict_are_a_batch(gan, key, images):
    state = init_state(gan, key)
    step = make_train_step(gan, donate=False)
    assert same(step(state, images, key), step(state, {"image": images}, key))


def test_every_update_uses_different_random_numbers(gan, key, images):
    state = init_state(gan, key)
    seen = set()
    for k in (key, jax.random.key(8)):
        for updates in (0, 1, 2):
            moved = state.replace(critic_updates=jnp.asarray(updates))
            seen.add(float(critic_step(gan, moved, images[0], k)[1]["critic/loss"]))
        for step in (0, 1):
            moved = state.replace(step=jnp.asarray(step))
            metrics = generator_step(gan, moved, k, batch_size=8)[1]
            seen.add(float(metrics["generator/loss"]))
    assert len(seen) == 10


def test_metrics_match_their_definitions(gan, key, images):
    state = init_state(gan, key)
    after, m = critic_step(gan, state, images[0], key)
    np.testing.assert_allclose(
        m["critic/loss"],
        m["critic/penalty"] - m["critic/wasserstein_estimate"],
        rtol=1e-5,
    )
    moved = jax.tree.map(jnp.subtract, after.critic.params, state.critic.params)
    np.testing.assert_allclose(
        m["critic/update_norm"], optax.tree.norm(moved), rtol=1e-4
    )
    np.testing.assert_allclose(
        m["critic/param_norm"], optax.tree.norm(after.critic.params), rtol=1e-6
    )
    for name in ("mean", "max"):
        assert float(m[f"critic/gradient_norm_{name}"]) > 0


def test_gradient_norm_at_fakes_matches_its_definition(key):
    gan = tiny_gan()
    state = init_state(gan, key)
    _, metrics = generator_step(gan, state, key, batch_size=16)
    update_key = jax.random.fold_in(jax.random.fold_in(key, 1), 0)
    latent = jax.random.normal(update_key, (16, gan.latent_size))
    g, c = state.generator, state.critic
    fake, _ = gan.generate(g.params, g.model_state, latent, train=True)
    norms = gradient_norms(gan.critic_fn(c.params, c.model_state), fake)
    np.testing.assert_allclose(
        metrics["critic/gradient_norm_at_fakes"], norms.mean(), rtol=1e-5
    )


def test_weights_are_clipped_before_the_generator_step(key, images):
    bound = 0.01
    changes = {"penalties": (), "constraint": lambda p: clip_weights(p, bound=bound)}
    after_update = tiny_gan(critic=TinyCritic(batch_norm=True), **changes)
    state = init_state(after_update, key)
    for batch in images:
        state, _ = critic_step(after_update, state, batch, key)
        assert all(
            float(jnp.abs(w).max()) <= np.float32(bound)
            for w in jax.tree.leaves(state.critic.params)
        )
    # In the 2017 order, weights exceed the bound by at most one learning rate.
    before_update = tiny_gan(**changes, constrain_before_update=True)
    state = init_state(before_update, key)
    for batch in images:
        state, _ = critic_step(before_update, state, batch, key)
    largest = max(float(jnp.abs(w).max()) for w in jax.tree.leaves(state.critic.params))
    assert bound < largest < bound + 4e-3


def test_custom_penalty_needs_no_table(key, images):
    def scores_near_zero(critic_fn, real, fake, key):
        return jnp.mean(critic_fn(real) ** 2)

    gan = tiny_gan(penalties=((gradient_penalty, 10.0), (scores_near_zero, 0.5)))
    state = init_state(gan, key)
    real = normalize_images(images[0], key, dequantize=False)
    scores = gan.critic_fn(state.critic.params, {})(real)
    _, both = critic_step(gan, state, images[0], key)
    only = tiny_gan(penalties=((gradient_penalty, 10.0),))
    _, one = critic_step(only, state, images[0], key)
    np.testing.assert_allclose(
        both["critic/penalty"] - one["critic/penalty"],
        0.5 * jnp.mean(scores**2),
        rtol=1e-4,
    )


def test_learning_rates_follow_generator_iterations(key, images):
    def halves(step):
        return jnp.where(step >= 1, 0.5, 1.0)

    sgd = optax.sgd(1e-2)
    parts = {"critic_optimizer": sgd, "generator_optimizer": sgd}
    gan = tiny_gan(**parts, learning_rate_scale=halves)
    state = init_state(gan, key)
    for step, scale in ((0, 1.0), (1, 0.5)):
        state = state.replace(step=jnp.asarray(step))
        _, m = critic_step(gan, state, images[0], key)
        rate = float(m["critic/update_norm"] / m["critic/grad_norm"])
        assert rate == pytest.approx(1e-2 * scale, rel=1e-4)
        _, m = generator_step(gan, state, key, batch_size=8)
        rate = float(m["generator/update_norm"] / m["generator/grad_norm"])
        assert rate == pytest.approx(1e-2 * scale, rel=1e-4)


def test_ema_starts_as_a_copy_and_follows_its_formula(key):
    gan = tiny_gan(ema_decay=0.2)
    state = init_state(gan, key)
    assert same(state.ema_params, state.generator.params)
    assert same(state.ema_model_state, state.generator.model_state)
    after, _ = generator_step(gan, state, key, batch_size=8)
    for average, first, now in (
        (after.ema_params, state.ema_params, after.generator.params),
        (after.ema_model_state, state.ema_model_state, after.generator.model_state),
    ):
        expected = jax.tree.map(lambda a, w: 0.1 * a + 0.9 * w, first, now)
        chex.assert_trees_all_close(average, expected, rtol=1e-5, atol=1e-7)


def test_ema_follows_a_given_function_of_the_iteration(key):
    gan = tiny_gan(ema_decay=lambda step: 0.25 * (1 + step))
    state, expected = init_state(gan, key), None
    for decay in (0.25, 0.5):
        before = state.ema_params if expected is None else expected
        state, _ = generator_step(gan, state, key, batch_size=8)
        expected = jax.tree.map(
            lambda a, w, d=decay: d * a + (1 - d) * w, before, state.generator.params
        )
        chex.assert_trees_all_close(state.ema_params, expected, rtol=1e-5, atol=1e-7)


class Counting(nn.Module):
    """A generator whose variables include a counter and a switch."""

    @nn.compact
    def __call__(self, latent, *, train):
        count = self.variable("counts", "passes", jnp.zeros, (), jnp.int32)
        begun = self.variable("counts", "begun", jnp.zeros, (), jnp.bool_)
        if train:
            count.value += 1
            begun.value = jnp.ones((), jnp.bool_)
        return jnp.tanh(nn.Dense(16)(latent)).reshape(-1, 4, 4, 1)


def test_ema_has_the_latest_values_of_counters_and_switches(key):
    gan = tiny_gan(generator=Counting())
    state = init_state(gan, key)
    for _ in range(2):
        state, _ = generator_step(gan, state, key, batch_size=4)
    assert int(state.ema_model_state["counts"]["passes"]) == 2
    assert bool(state.ema_model_state["counts"]["begun"])


def test_ema_is_absent_without_decay(key):
    gan = tiny_gan(ema_decay=None)
    state, _ = generator_step(gan, init_state(gan, key), key, batch_size=8)
    assert state.ema_params is None


def test_generator_batch_size_may_differ(key, images):
    gan = tiny_gan(generator_batch_size=32)
    state = init_state(gan, key)
    _, metrics = train_step(gan, state, images, key)
    for batch in images:
        state, _ = critic_step(gan, state, batch, key)
    _, expected = generator_step(gan, state, key, batch_size=32)
    np.testing.assert_allclose(
        metrics["generator/loss"], expected["generator/loss"], rtol=1e-4
    )


def test_uint8_conversion_and_dequantization(key):
    levels = jnp.array([0, 64, 127, 128, 255], jnp.uint8).reshape(1, 5, 1, 1)
    plain = normalize_images(levels, key, dequantize=False).ravel()
    np.testing.assert_allclose(plain, [-1, -0.4980392, -1 / 255, 1 / 255, 1], atol=1e-7)
    for level in (0, 100, 255):
        many = jnp.full((1, 50, 40, 1), level, jnp.uint8)
        noisy = normalize_images(many, key, dequantize=True)
        low, high = level / 128 - 1, (level + 1) / 128 - 1
        assert low <= float(noisy.min()) < low + 1e-4
        assert high - 1e-4 < float(noisy.max()) < high
    floating = jnp.full((1, 2), 0.3)
    assert normalize_images(floating, key, dequantize=True) is floating
    with pytest.raises(AssertionError):
        normalize_images(jnp.zeros((1, 2), jnp.int32), key, dequantize=False)


def test_batch_norm_in_a_penalized_critic_is_rejected(key):
    gan = tiny_gan(critic=TinyCritic(batch_norm=True))
    for build in (lambda: init_state(gan, key), lambda: abstract_state(gan)):
        with pytest.raises(ValueError, match="batch norm, which mixes"):
            build()


def test_train_step_compiles_once_and_donates(gan, key, images):
    state = init_state(gan, key)
    counted = chex.assert_max_traces(train_step, n=1)
    step = jax.jit(lambda s, b: counted(gan, s, b, key), donate_argnums=0)
    for _ in range(3):
        state, _ = step(state, images)
    old = state
    state, _ = make_train_step(gan)(state, images, key)
    assert all(x.is_deleted() for x in jax.tree.leaves(old))
    assert not any(x.is_deleted() for x in jax.tree.leaves(state))


def test_abstract_state_matches_the_real_one(gan, key):
    chex.assert_trees_all_equal_shapes_and_dtypes(
        abstract_state(gan), init_state(gan, key)
    )


def test_network_without_train_argument_is_rejected():
    import flax.linen as nn

    class NoTrain(nn.Module):
        def __call__(self, x):
            return x

    with pytest.raises(ValueError, match="has no argument 'train'"):
        tiny_gan(critic=NoTrain())


def test_optimizers_with_schedules_receive_the_iteration(key, images):
    def update(updates, state, params=None, *, iteration):
        return jax.tree.map(jnp.zeros_like, updates), [*state, iteration]

    seen = optax.GradientTransformationExtraArgs(lambda params: [], update)
    gan = tiny_gan(critic_optimizer=seen, generator_optimizer=seen)
    state = init_state(gan, key).replace(step=jnp.asarray(5))
    state, _ = critic_step(gan, state, images[0], key)
    state, _ = critic_step(gan, state, images[1], key)
    state, _ = generator_step(gan, state, key, batch_size=8)
    state, _ = critic_step(gan, state, images[2], key)
    assert [int(t) for t in state.critic.opt_state] == [5, 5, 6]
    assert [int(t) for t in state.generator.opt_state] == [5]
