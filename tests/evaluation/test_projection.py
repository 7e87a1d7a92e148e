"""Tests of the search for latents of given images."""

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax import zoo
from wgan_jax.evaluation.projection import project


def test_latents_of_generated_images_are_found():
    generator = zoo.load("digits")
    parts = (generator.gan, generator.params, generator.model_state)
    labels = np.array([3, 7, 0], np.int32)
    z = jax.random.normal(jax.random.key(5), (3, generator.latent_size))
    targets = generator(z, labels)
    found = project(*parts, targets, jax.random.key(0), starts=20, steps=150)
    assert found.latents.shape == z.shape
    assert found.labels.tolist() == labels.tolist()
    images = generator(found.latents, found.labels)
    np.testing.assert_allclose(images, found.images, atol=1e-4)
    errors = jnp.sqrt(jnp.mean(jnp.square(images - targets), (1, 2, 3)))
    np.testing.assert_allclose(errors, found.errors, atol=1e-4)
    # Another image of the same class differs by about 0.6.
    assert float(errors.max()) < 0.1
    worse = project(*parts, targets, jax.random.key(0), starts=20, steps=1)
    assert float(worse.errors.min()) > 0.2
