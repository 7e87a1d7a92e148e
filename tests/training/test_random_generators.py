"""Generators with random numbers of their own: random in training, fixed after it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from test_latents import Z, gan_of

import wgan_jax
from wgan_jax.networks import from_functions, from_nnx
from wgan_jax.sampling import standing_statistics


class Noise(nn.Module):
    """Generator of ones, with noise in training."""

    @nn.compact
    def __call__(self, latent, *, train):
        x = self.param("bias", nn.initializers.ones, (1, Z)).repeat(len(latent), 0)
        if train:
            x += jax.random.normal(self.make_rng("noise"), x.shape)
        return x


class Dropout(nn.Module):
    """Generator with dropout as it is usually written, and batch norm."""

    @nn.compact
    def __call__(self, latent, *, train):
        x = nn.Dense(32)(latent)
        x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(Z)(nn.Dropout(0.5, deterministic=not train)(x))


def nnx_network():
    class Network(nnx.Module):
        def __init__(self, *, rngs):
            self.first = nnx.Linear(Z, 32, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.last = nnx.Linear(32, Z, rngs=rngs)

        def __call__(self, latent):
            return self.last(self.dropout(self.first(latent)))

    return from_nnx(Network)


def of_key(params, latent, *, train, key):
    noise = 0.0 if key is None else jax.random.normal(key, latent.shape)
    return latent @ params + noise


def functions():
    return from_functions(lambda key: jnp.eye(Z), of_key)


NETWORKS = {
    "noise": Noise,
    "dropout": Dropout,
    "nnx": nnx_network,
    "functions": functions,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_training_is_random_and_repeatable(name, key):
    gan = gan_of("normal", generator=NETWORKS[name]())
    batch = jnp.zeros((2, 64, Z))
    runs = []
    for _ in range(2):
        state, found = wgan_jax.init_state(gan, key), []
        step = wgan_jax.make_train_step(gan, donate=False)
        for _ in range(2):
            state, metrics = step(state, batch, key)
            found.append(metrics["critic/fake_score"])
        runs.append((state, found))
    (one, scores), (two, _) = runs
    assert scores[0] != scores[1]
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)
    # Only the pass of the training differs from the images of the same latents.
    latent = jnp.ones((4, Z))
    parts = (one.generator.params, one.generator.model_state, latent)
    passes = [
        gan.generate(*parts, train=True, key=jax.random.fold_in(key, k))[0]
        for k in (0, 0, 1)
    ]
    np.testing.assert_array_equal(passes[0], passes[1])
    assert np.any(passes[0] != passes[2])


@pytest.mark.parametrize("name", NETWORKS)
def test_samples_are_deterministic(name, key):
    gan = gan_of("normal", generator=NETWORKS[name]())
    state = wgan_jax.init_state(gan, key)
    images = wgan_jax.sample(gan, state, key, 6)
    np.testing.assert_array_equal(images, wgan_jax.sample(gan, state, key, 6))
    if name == "noise":
        np.testing.assert_array_equal(images, 1)


def test_updates_draw_their_own_noise(key):
    gan = gan_of("normal", generator=Noise())
    state = wgan_jax.init_state(gan, key)
    batch, scores = jnp.zeros((2000, Z)), []
    for k in range(2):  # updates of the same networks
        later = state.replace(critic_updates=jnp.int32(k), step=jnp.int32(k))
        _, metrics = wgan_jax.critic_step(gan, later, batch, key)
        scores.append(float(metrics["critic/fake_score"]))
        _, metrics = wgan_jax.generator_step(gan, later, key, batch_size=2000)
        scores.append(-float(metrics["generator/loss"]))
    np.testing.assert_allclose(scores, 2.0, rtol=0.05)  # 1 + variance of the noise
    assert len(set(scores)) == 4


def test_parts_of_a_batch_have_different_noise(key):
    # With one key for all parts, each of one example, the loss would be that of a
    # single example, whose variance is 32 times larger.
    gan = gan_of("normal", generator=Noise(), microbatches=32)
    state = wgan_jax.init_state(gan, key)
    losses = []
    for k in range(16):
        own = jax.random.fold_in(key, k)
        _, metrics = wgan_jax.generator_step(gan, state, own, batch_size=32)
        losses.append(metrics["generator/loss"])
    # A mean of squares of Z values with mean 1 and variance 1 has variance 6 / Z.
    assert 0.05 * np.sqrt(6 / Z) < np.std(losses) < 0.5 * np.sqrt(6 / Z)


def test_streams_are_independent(key):
    class Streams(nn.Module):
        @nn.compact
        def __call__(self, latent, *, train):
            x = self.param("bias", nn.initializers.ones, (1, Z)).repeat(len(latent), 0)
            if not train:
                return x
            draws = [self.make_rng(name) for name in ("noise", "dropout")]
            one, two = (jax.random.normal(k, x.shape) for k in draws)
            return x * one * two

    gan = gan_of("normal", generator=Streams())
    params = wgan_jax.init_state(gan, key).generator.params
    images, _ = gan.generate(params, {}, jnp.ones((4000, Z)), train=True, key=key)
    np.testing.assert_allclose(np.mean(images), 0, atol=0.05)


def test_standing_statistics_of_a_random_generator(key):
    gan = gan_of("normal", generator=Dropout())
    state = wgan_jax.init_state(gan, key)
    found = standing_statistics(gan, state, key, batches=2)
    before, after = (s.ema_model_state["batch_stats"] for s in (state, found))
    assert np.any(jax.tree.leaves(before)[0] != jax.tree.leaves(after)[0])


class Always(nn.Module):
    """Generator with a stream that it always draws from."""

    stream: str
    only_in_training: bool = False

    @nn.compact
    def __call__(self, latent, *, train):
        x = nn.Dense(Z)(latent)
        if train or not self.only_in_training:
            x += jax.random.normal(self.make_rng(self.stream), x.shape)
        return x


def test_random_samples_are_refused_with_a_remedy(key):
    gan = gan_of("normal", generator=Always("noise"))
    message = (
        "Always draws from the rng stream 'noise' in evaluation mode, .*"
        r"Draw only if train is True, or if self.has_rng\('noise'\)"
    )
    with pytest.raises(ValueError, match=message):
        wgan_jax.init_state(gan, key)


def test_unknown_streams_are_named(key):
    gan = gan_of("normal", generator=Always("gumbel", only_in_training=True))
    state = wgan_jax.init_state(gan, key)
    with pytest.raises(ValueError, match="'gumbel'; only 'dropout' and 'noise'"):
        wgan_jax.generator_step(gan, state, key, batch_size=4)
