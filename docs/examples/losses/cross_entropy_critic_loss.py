import jax.numpy as jnp

from wgan_jax.losses import cross_entropy_critic_loss

real, fake = jnp.zeros(2), jnp.zeros(2)
print(round(float(cross_entropy_critic_loss(real, fake)), 3))  # 1.386
