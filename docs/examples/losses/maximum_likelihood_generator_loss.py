import jax.numpy as jnp

from wgan_jax.losses import maximum_likelihood_generator_loss

print(round(float(maximum_likelihood_generator_loss(jnp.zeros(2))), 3))  # -1.0
