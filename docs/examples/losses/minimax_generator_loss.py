import jax.numpy as jnp

from wgan_jax.losses import minimax_generator_loss

print(round(float(minimax_generator_loss(jnp.zeros(2))), 3))  # -0.693
