import jax.numpy as jnp

from wgan_jax.losses import hinge_critic_loss

real, fake = jnp.array([2.0, 0.5]), jnp.array([-2.0, 0.0])
print(hinge_critic_loss(real, fake))  # 0.75
