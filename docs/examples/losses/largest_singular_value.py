import jax.numpy as jnp

from wgan_jax.losses import largest_singular_value

print(round(float(largest_singular_value(jnp.diag(jnp.array([4.0, 2.0])))), 3))  # 4.0
