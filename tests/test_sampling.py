from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import linen as nn
from tiny import tiny_gan

from wgan_jax.latents import latents
from wgan_jax.program.restoring import with_standing_statistics
from wgan_jax.sampling import (
    interpolations,
    sample,
    sample_batches,
    standing_statistics,
)
from wgan_jax.training.init import init_state


@pytest.fixture
def state(gan, key):
    return init_state(gan, key)


def test_sample_i_does_not_depend_on_n(gan, state, key):
    hundred = sample(gan, state, key, 100)
    assert hundred.shape == (100, 4, 4, 1)
    for n in (1, 7, 64, 65):
        np.testing.assert_array_equal(sample(gan, state, key, n), hundred[:n])
    np.testing.assert_allclose(
        sample(gan, state, key, 100, batch_size=9), hundred, atol=1e-6
    )


def test_latents_depend_only_on_key_and_index(key):
    some = latents(key, np.array([5, 2, 900]), size=4)
    np.testing.assert_array_equal(some[1], latents(key, np.arange(3), size=4)[2])
    assert not np.array_equal(some[0], some[1])
    many = latents(key, np.arange(4000), size=4)
    np.testing.assert_allclose(many.mean(0), 0, atol=0.06)
    np.testing.assert_allclose(many.std(0), 1, atol=0.05)


def test_ema_and_live_samples_differ(gan, state, key):
    moved = state.replace(ema_params=jax.tree.map(lambda x: 2 * x, state.ema_params))
    before = jax.tree.map(np.array, moved)
    average, live = (sample(gan, moved, key, 4, use_ema=e) for e in (True, False))
    assert not np.array_equal(average, live)
    np.testing.assert_array_equal(live, sample(gan, state, key, 4, use_ema=False))
    for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(moved), strict=True):
        np.testing.assert_array_equal(a, b)


def test_invalid_arguments_are_rejected(gan, state, key):
    with pytest.raises(ValueError, match="n is 0"):
        sample(gan, state, key, 0)
    plain = tiny_gan(ema_decay=None)
    with pytest.raises(ValueError, match="has no EMA"):
        sample(plain, init_state(plain, key), key, 1)


def test_sample_batches_equal_one_sample(gan, state, key):
    parts = list(sample_batches(gan, state, key, 21, batch_size=8))
    assert [len(part) for part in parts] == [8, 8, 5]
    whole = sample(gan, state, key, 21, batch_size=8)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    with pytest.raises(ValueError, match="n is 0"):
        sample_batches(gan, state, key, 0)  # raised before the first batch


def test_interpolations_follow_great_circles(key):
    # The generator returns its latent. Within a row, the direction turns by a constant
    # angle, and the ends are ordinary latents.
    class Shows(nn.Module):
        @nn.compact
        def __call__(self, latent, *, train):
            return latent + self.param("zero", nn.initializers.zeros, (1, 1))

    class Flat(nn.Module):
        @nn.compact
        def __call__(self, images, *, train):
            return nn.Dense(1)(images)[:, 0]

    gan = tiny_gan(generator=Shows(), critic=Flat(), latent_size=5, penalties=())
    shown = interpolations(gan, init_state(gan, key), key, rows=3, columns=7)
    rows = np.asarray(shown, np.float64).reshape(3, 7, 5)
    firsts = latents(key, np.array([0, 2, 4]), size=5)
    lasts = latents(key, np.array([1, 3, 5]), size=5)
    np.testing.assert_allclose(rows[:, 0], firsts, atol=1e-5)
    np.testing.assert_allclose(rows[:, -1], lasts, atol=1e-5)
    # In the basis of the two ends, the weights w0, w1 of a point on the arc satisfy
    # w0^2 + w1^2 + 2 w0 w1 cos(angle) = 1.
    for row in rows:
        cosine = row[0] @ row[-1] / np.linalg.norm(row[0]) / np.linalg.norm(row[-1])
        weights = np.linalg.lstsq(np.stack([row[0], row[-1]]).T, row.T, rcond=None)[0]
        products = weights[0] * weights[1]
        lengths = (weights**2).sum(axis=0) + 2 * products * cosine
        np.testing.assert_allclose(lengths, 1, atol=1e-4)
        # The angle increases in equal steps.
        angle = np.arccos(cosine)
        turned = np.sin(np.linspace(0, angle, 7)) / np.sin(angle)
        np.testing.assert_allclose(weights[1], turned, atol=1e-4)
    with pytest.raises(ValueError, match="rows is 0"):
        interpolations(gan, init_state(gan, key), key, rows=0, columns=7)


class Normalized(nn.Module):
    """Batch norm of latents alone, with a momentum of its own."""

    momentum: float

    @nn.compact
    def __call__(self, latent, *, train):
        norm = nn.BatchNorm(use_running_average=not train, momentum=self.momentum)
        scale = self.param("scale", nn.initializers.constant(3.0), ())
        return norm(scale * latent).reshape(-1, 3, 1, 1)


@pytest.mark.parametrize("momentum", [0.9, 0.5])
@pytest.mark.parametrize("use_ema", [True, False])
def test_standing_statistics_are_means_over_batches(momentum, use_ema, key):
    gan = tiny_gan(generator=Normalized(momentum), penalties=())
    state = init_state(gan, key)
    found = standing_statistics(
        gan, state, key, batches=5, batch_size=16, use_ema=use_ema
    )
    z = np.asarray(latents(key, np.arange(80), size=3)) * 3.0
    z = z.reshape(5, 16, 3)
    kept = (found.generator.model_state, found.ema_model_state)
    stats = kept[use_ema]["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], z.mean(1).mean(0), atol=1e-5)
    np.testing.assert_allclose(stats["var"], z.var(1).mean(0), rtol=1e-5)
    other = kept[not use_ema]["batch_stats"]["BatchNorm_0"]
    np.testing.assert_array_equal(other["mean"], 0)


def test_standing_statistics_of_a_generator_without_batch_norm(key):
    gan = tiny_gan(generator=Plain(), penalties=())
    state = init_state(gan, key)
    assert standing_statistics(gan, state, key, batches=2) is state
    with pytest.raises(ValueError, match="batches is 0"):
        standing_statistics(gan, state, key, batches=0)


class Plain(nn.Module):
    """Generator without batch norm."""

    @nn.compact
    def __call__(self, latent, *, train):
        return nn.Dense(16)(latent).reshape(-1, 4, 4, 1)


def test_config_asks_for_standing_statistics_of_both_weights(key):
    gan = tiny_gan(generator=Normalized(0.9), penalties=())
    state = init_state(gan, key)
    config = SimpleNamespace(
        samples=SimpleNamespace(standing_batches=0, seed=1),
        training=SimpleNamespace(batch_size=16),
    )
    assert with_standing_statistics(config, gan, state) is state
    config.samples.standing_batches = 3
    found = with_standing_statistics(config, gan, state)
    for model_state in (found.generator.model_state, found.ema_model_state):
        variance = model_state["batch_stats"]["BatchNorm_0"]["var"]
        np.testing.assert_allclose(variance, 9.0, rtol=0.6)  # that of 3 z
    plain = tiny_gan(generator=Normalized(0.9), penalties=(), ema_decay=None)
    found = with_standing_statistics(config, plain, init_state(plain, key))
    assert found.ema_model_state is None
