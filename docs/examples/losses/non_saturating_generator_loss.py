import jax.numpy as jnp

from wgan_jax.losses import non_saturating_generator_loss

print(round(float(non_saturating_generator_loss(jnp.zeros(2))), 3))  # 0.693
