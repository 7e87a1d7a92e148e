"""Tests of the priors of the latents, wherever latents are drawn."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import export as jax_export
from tiny import tiny_gan

import wgan_jax
from wgan_jax.config.build import build_gan
from wgan_jax.config.loading import find_config, load_config
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.errors import ConfigError
from wgan_jax.evaluation import MEASURES
from wgan_jax.evaluation.projection import project
from wgan_jax.export.priors import DRAWS, draw_text
from wgan_jax.export.stablehlo import to_stablehlo
from wgan_jax.latents import PRIORS, great_arc, latents
from wgan_jax.metrics import perceptual_path_length
from wgan_jax.program import scoring
from wgan_jax.program.drawing import draw
from wgan_jax.program.requests import read_request
from wgan_jax.sampling import interpolations, standing_statistics
from wgan_jax.zoo import Pretrained

Z = 6
BOUNDS = {"normal": None, "truncated_normal": 2.0, "uniform": 1.0, "sphere": None}
# Mean square of a value. That of a normal value within 2 is 1 - 4 p(2) / P(|z| < 2).
SQUARES = {"normal": 1.0, "truncated_normal": 0.7737, "uniform": 1 / 3, "sphere": 1.0}


class Identity(nn.Module):
    """Generator whose examples are its latents, normalized over the batch if asked."""

    batch_norm: bool = False

    @nn.compact
    def __call__(self, latent, *, train):
        self.param("unused", nn.initializers.zeros, (1,))
        if self.batch_norm:
            nn.BatchNorm(use_running_average=not train, use_bias=False)(latent)
        return latent


class MeanSquare(nn.Module):
    """Critic whose score is the mean square of an example."""

    @nn.compact
    def __call__(self, points, *, train):
        scale = self.param("scale", nn.initializers.ones, ())
        return scale * jnp.mean(jnp.square(points), axis=1)


def gan_of(prior, **changes):
    parts = {"generator": Identity(), "critic": MeanSquare(), "penalties": ()}
    return tiny_gan(**(parts | {"latent_size": Z, "prior": prior} | changes))


def on_support(prior, z, tolerance=1e-5):
    if prior == "sphere":
        np.testing.assert_allclose(np.mean(np.square(z), -1), 1, rtol=tolerance)
    if BOUNDS[prior] is not None:
        assert np.abs(z).max() <= BOUNDS[prior]


@pytest.mark.parametrize("prior", PRIORS)
def test_latents_have_their_distribution(prior, key):
    z = np.asarray(latents(key, jnp.arange(4000), size=Z, prior=prior))
    on_support(prior, z)
    np.testing.assert_allclose(z.mean(0), 0, atol=0.06)
    np.testing.assert_allclose(np.mean(z**2), SQUARES[prior], rtol=0.02)
    covariance = np.cov(z.T) / SQUARES[prior]
    np.testing.assert_allclose(covariance, np.eye(Z), atol=0.08)
    some = latents(key, jnp.array([7, 3]), size=Z, prior=prior)
    np.testing.assert_array_equal(some, z[[7, 3]])
    np.testing.assert_allclose(PRIORS[prior].nearest(z), z, rtol=1e-6)
    on_support(prior, PRIORS[prior].nearest(3 * z))


def test_normal_latents_are_those_of_earlier_versions(key):
    z = latents(key, jnp.array([5]), size=Z)
    expected = jax.random.normal(jax.random.fold_in(key, 5), (Z,))
    np.testing.assert_array_equal(z[0], expected)


@pytest.mark.parametrize(
    ("prior", "bound", "largest"),
    [
        ("normal", 0.5, 0.5),
        ("uniform", 0.3, 0.3),
        ("uniform", 5.0, 1.0),
        ("truncated_normal", 0.5, 0.5),
        ("truncated_normal", 9.0, 2.0),
    ],
)
def test_truncation_bounds_every_prior_but_the_sphere(prior, bound, largest, key):
    z = latents(key, jnp.arange(2000), size=Z, prior=prior, truncation=bound)
    assert 0.95 * largest < np.abs(z).max() <= largest


def test_sphere_cannot_be_truncated(key):
    gan = gan_of("sphere")
    state = wgan_jax.init_state(gan, key)
    with pytest.raises(ValueError, match="prior 'sphere' cannot be truncated"):
        wgan_jax.sample(gan, state, key, 2, truncation=1.0)
    for options in ({"truncation": "1.0"}, {"truncation": "1.0", "interpolate": "2x3"}):
        request = read_request(options, count=2, seed=0, label=None)
        with pytest.raises(ConfigError, match="cannot be truncated"):
            draw(request, gan, {}, {}, None, tell=print)


@pytest.mark.parametrize("prior", PRIORS)
def test_paths_stay_within_the_prior(prior, key):
    first, last = latents(key, jnp.arange(2), size=Z, prior=prior)[:, None]
    t = jnp.linspace(0, 1, 9)[:, None]
    z = PRIORS[prior].path(first.repeat(9, 0), last.repeat(9, 0), t)
    np.testing.assert_allclose(z[0], first[0], atol=1e-6)
    np.testing.assert_allclose(z[-1], last[0], atol=1e-6)
    if prior == "uniform":
        np.testing.assert_allclose(z, (1 - t) * first + t * last, atol=1e-6)
    else:
        arc = great_arc(first.repeat(9, 0), last.repeat(9, 0), t)
        np.testing.assert_array_equal(z, arc)
    if prior != "truncated_normal":  # between the ends, an arc may leave a box
        on_support(prior, z)


@pytest.mark.parametrize("prior", PRIORS)
def test_training_draws_from_the_prior(prior, key):
    gan = gan_of(prior)
    state = wgan_jax.init_state(gan, key)
    batch = jnp.zeros((4000, Z))
    _, metrics = wgan_jax.critic_step(gan, state, batch, key)
    np.testing.assert_allclose(metrics["critic/fake_score"], SQUARES[prior], rtol=0.02)
    _, metrics = wgan_jax.generator_step(gan, state, key, batch_size=4000)
    np.testing.assert_allclose(metrics["generator/loss"], -SQUARES[prior], rtol=0.02)


@pytest.mark.parametrize("prior", PRIORS)
def test_samples_are_drawn_from_the_prior(prior, key):
    gan = gan_of(prior)
    state = wgan_jax.init_state(gan, key)
    z = latents(key, jnp.arange(8), size=Z, prior=prior)
    np.testing.assert_array_equal(wgan_jax.sample(gan, state, key, 8), z)
    shown = interpolations(gan, state, key, rows=4, columns=3).reshape(4, 3, Z)
    np.testing.assert_allclose(shown[:, 0], z[::2], atol=1e-6)
    half = jnp.full((4, 1), 0.5)
    middle = PRIORS[prior].path(z[::2], z[1::2], half)
    np.testing.assert_allclose(shown[:, 1], middle, atol=1e-5)
    weights = (state.generator.params, state.generator.model_state)
    for options in ({"interpolate": "4x3"}, {"interpolate": "4x3", "format": "npz"}):
        request = read_request(options, count=4, seed=3, label=None)
        drawn = draw(request, gan, *weights, None, tell=print).images
        z = latents(jax.random.key(3), jnp.arange(8), size=Z, prior=prior)
        middle = PRIORS[prior].path(z[::2], z[1::2], half)
        np.testing.assert_allclose(drawn.reshape(4, 3, Z)[:, 1], middle, atol=1e-5)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_standing_statistics_are_those_of_the_prior(prior, key):
    gan = gan_of(prior, generator=Identity(batch_norm=True))
    state = wgan_jax.init_state(gan, key)
    state = standing_statistics(gan, state, key, batches=8, batch_size=500)
    variance = state.ema_model_state["batch_stats"]["BatchNorm_0"]["var"]
    np.testing.assert_allclose(np.mean(variance), SQUARES[prior], rtol=0.05)


def test_path_length_follows_the_paths_of_the_prior(key):
    options = {"latent_size": Z, "samples": 2000, "trim": 0.0}
    found = perceptual_path_length(
        lambda z: z, lambda x: x, key, prior="uniform", **options
    )
    # Lines of length z1 - z0, whose values have a variance of 2 / 3.
    np.testing.assert_allclose(found.mean, Z * 2 / 3, rtol=0.05)
    found = perceptual_path_length(
        lambda z: z, lambda x: x, key, prior="sphere", **options
    )
    # Arcs of radius sqrt(Z) between random directions.
    random = np.random.default_rng(0).normal(size=(2, 100_000, Z))
    random /= np.linalg.norm(random, axis=2, keepdims=True)
    squares = np.arccos(np.sum(random[0] * random[1], 1)) ** 2
    np.testing.assert_allclose(found.mean, Z * squares.mean(), rtol=0.05)


class Flat(nn.Module):
    """Critic of pictures."""

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(1)(images.reshape(len(images), -1))[:, 0]


class Picture(nn.Module):
    """Generator of 4x4 pictures that are latents."""

    @nn.compact
    def __call__(self, latent, *, train):
        self.param("unused", nn.initializers.zeros, (1,))
        return latent.reshape(-1, 4, 4, 1)


def test_path_length_of_an_evaluation_uses_the_prior_of_the_run(key):
    gan = gan_of("uniform", generator=Picture(), critic=Flat(), latent_size=16)
    model = scoring._model(gan, wgan_jax.init_state(gan, key), use_ema=True)
    pixels = lambda levels: SimpleNamespace(values=levels.reshape(len(levels), -1))
    extractor = SimpleNamespace(from_levels=pixels)
    comparison = SimpleNamespace(model=model, extractor=extractor, seed=0)
    (measured,) = MEASURES["path_length"].function(comparison)
    expected = 3 * 127.5**2 * 16 * 2 / 3  # three equal channels of gray levels
    np.testing.assert_allclose(measured.value.mean, expected, rtol=0.05)


@pytest.mark.parametrize("prior", ["truncated_normal", "uniform", "sphere"])
def test_projected_latents_are_of_the_prior(prior, key):
    gan = gan_of(prior, generator=Picture(), latent_size=16)
    targets = jnp.full((1, 4, 4, 1), 5.0)
    found = project(gan, {"unused": jnp.zeros(1)}, {}, targets, key, starts=2, steps=30)
    on_support(prior, found.latents)


@pytest.mark.parametrize("prior", PRIORS)
def test_exported_samplers_draw_from_the_prior(prior, key):
    gan = gan_of(prior)
    params = wgan_jax.init_state(gan, key).generator.params
    generator = Pretrained("own", gan, params, {}, {"data": {}})
    program = jax_export.deserialize(bytearray(to_stablehlo(generator, from_seed=True)))
    drawn = program.call(jnp.uint32(3), jnp.arange(5))
    expected = generator.sample(jax.random.key(3), 5)
    np.testing.assert_allclose(drawn, expected, atol=1e-6)
    text = draw_text(prior, n=4000, size=Z)
    scope = {"np": np, "random": np.random.default_rng(0)}
    exec(text.numpy, scope)
    on_support(prior, scope["latents"])
    squares = np.mean(scope["latents"] ** 2)
    np.testing.assert_allclose(squares, SQUARES[prior], rtol=0.03)


def test_every_prior_is_known_to_all_exports():
    assert set(DRAWS) == set(PRIORS)
    page = Path(wgan_jax.__file__).parent / "export/page.js"
    (rows,) = re.findall(r"const PRIORS = \{(.*?)\};", page.read_text(), re.DOTALL)
    assert set(re.findall(r"^  (\w+):", rows, re.MULTILINE)) == set(PRIORS)


def test_prior_of_a_config_is_that_of_the_gan():
    config = load_config(find_config("digits_wgan_gp"))
    assert build_gan(config, (8, 8, 1)).prior == "normal"
    apply_overrides(config, [("generator.prior", "sphere")])
    assert build_gan(config, (8, 8, 1)).prior == "sphere"
    with pytest.raises(
        ValueError, match="prior 'sphare' is not known; did you mean sphere"
    ):
        replace(gan_of("sphere"), prior="sphare")
