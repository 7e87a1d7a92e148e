import jax.numpy as jnp

from wgan_jax import wasserstein_generator_loss

print(wasserstein_generator_loss(jnp.array([1.0, 0.0])))  # -0.5
