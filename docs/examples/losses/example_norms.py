import jax.numpy as jnp

from wgan_jax.losses import example_norms

print(example_norms(jnp.array([[3.0, 4.0], [0.0, 0.0]])))  # [5. 0.]
