import jax
import jax.numpy as jnp

from wgan_jax.losses import perturb

real = jnp.array([[1.0, 2.0], [3.0, 4.0]])
print(perturb(real, jax.random.key(0), scale=0.5).shape)  # (2, 2)
