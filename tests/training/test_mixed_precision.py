"""Tests of bfloat16 networks with float32 losses, penalties and parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import gaussians_wgan_gp
from wgan_jax.gan import Gan
from wgan_jax.losses import OBJECTIVES, gradient_penalty_and_norms
from wgan_jax.networks import CRITICS, GENERATORS
from wgan_jax.networks.layers import add_bias
from wgan_jax.program import train
from wgan_jax.training.compiled import make_train_step
from wgan_jax.training.gradients import Keys, Pairs, critic_gradients
from wgan_jax.training.init import init_state


def gan_of(row, shape, dtype):
    adam = optax.adam(1e-3, b1=0.0, b2=0.9)
    return Gan(
        generator=GENERATORS[row](image_shape=shape, width=16, dtype=dtype),
        critic=CRITICS[row](width=16, dtype=dtype),
        objective=OBJECTIVES["wasserstein"],
        penalties=((gradient_penalty_and_norms, 10.0),),
        generator_optimizer=adam,
        critic_optimizer=adam,
        latent_size=8,
    )


@pytest.mark.parametrize(("row", "shape"), [("dcgan_gp", (16, 16, 3)), ("mlp", (2,))])
def test_critic_loss_and_gradient_are_close_to_float32(key, row, shape):
    low, exact = gan_of(row, shape, jnp.bfloat16), gan_of(row, shape, None)
    state = init_state(exact, key)
    real, fake = (
        jax.random.uniform(jax.random.fold_in(key, i), (32, *shape), minval=-1.0)
        for i in range(2)
    )
    found = []
    for gan in (low, exact):
        run = jax.jit(
            lambda gan=gan: critic_gradients(
                gan, state, ({}, ()), Pairs(real, fake), Keys(key, key)
            )
        )
        gradient, _, metrics = run()
        assert {x.dtype for x in jax.tree.leaves((gradient, metrics))} == {
            jnp.dtype("float32")
        }
        flat = jnp.concatenate([x.ravel() for x in jax.tree.leaves(gradient)])
        found.append((metrics["critic/penalty"], flat))
    (value, gradient), (expected, reference) = found
    assert value != expected  # bfloat16 was used
    np.testing.assert_allclose(value, expected, rtol=0.01)
    cosine = gradient @ reference
    cosine /= jnp.linalg.norm(gradient) * jnp.linalg.norm(reference)
    assert float(cosine) > 0.999
    error = jnp.linalg.norm(gradient - reference) / jnp.linalg.norm(reference)
    assert float(error) < 0.05


def test_bfloat16_training_is_close_to_float32(key):
    """Compares 50 steps only, because training amplifies rounding errors.

    Two float32 runs whose parameters start 1e-6 apart already differ by 0.3 in
    the mean of the last 20 estimates, a quarter of the peak.
    """
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (200, 5, 64))
    circle = np.stack([np.cos(angles), np.sin(angles)], -1).astype(np.float32)
    runs = []
    for dtype in (jnp.bfloat16, None):
        gan = gan_of("mlp", (2,), dtype)
        state, step = init_state(gan, key), make_train_step(gan)
        estimates = []
        for batch in circle:
            state, metrics = step(state, batch, key)
            estimates.append(float(metrics["critic/wasserstein_estimate"]))
        assert {x.dtype for x in jax.tree.leaves(state.critic.params)} == {
            jnp.dtype("float32")
        }
        runs.append(np.array(estimates))
        assert runs[-1][-20:].mean() < 0.5 * runs[-1].max()  # training makes progress
    low, exact = runs
    # Parameters kept in bfloat16 would differ by 0.3 of the peak.
    np.testing.assert_allclose(low[:50], exact[:50], rtol=0, atol=0.1 * exact.max())
    assert low.max() == pytest.approx(exact.max(), rel=0.1)


def test_bias_gradient_is_summed_in_float32():
    """In bfloat16, a sum of ones stops at 256, because 256 + 1 is rounded to 256."""
    y = jnp.zeros((10, 10, 10, 2), jnp.bfloat16)

    def total(bias):
        return jnp.sum(add_bias(y, bias).astype(jnp.float32))

    np.testing.assert_array_equal(jax.grad(total)(jnp.zeros(2)), [1000, 1000])
    assert add_bias(y, jnp.zeros(2)).dtype == jnp.bfloat16


@pytest.mark.parametrize(("is_used", "lines"), [(False, 1), (True, 0)])
def test_cpu_without_native_bfloat16_gives_a_warning(is_used, lines, monkeypatch):
    config = gaussians_wgan_gp.get_config()
    monkeypatch.setattr(train.onednn_support, "is_used", lambda dtype: is_used)
    said = []
    for dtype in ("float32", "bfloat16"):
        with config.unlocked():
            config.training.compute_dtype = dtype
        train._warn_of_slow_bfloat16(config, log=said.append)
    assert len(said) == lines
    assert all(line.endswith("Use float32.") for line in said)
