import jax.numpy as jnp

from wgan_jax.losses import relativistic_generator_loss

real, fake = jnp.array([1.0, 2.0]), jnp.array([1.0, 2.0])
print(round(float(relativistic_generator_loss(real, fake)), 3))  # 0.693
