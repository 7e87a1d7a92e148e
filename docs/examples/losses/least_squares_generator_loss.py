import jax.numpy as jnp

from wgan_jax.losses import least_squares_generator_loss

print(least_squares_generator_loss(jnp.array([1.0, 0.0])))  # 0.25
