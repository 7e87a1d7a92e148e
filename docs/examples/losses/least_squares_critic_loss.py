import jax.numpy as jnp

from wgan_jax.losses import least_squares_critic_loss

real, fake = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
print(least_squares_critic_loss(real, fake))  # 0.5
