import jax.numpy as jnp

from wgan_jax.losses import example_gradients

points = jnp.array([[3.0, 4.0]])
print(example_gradients(lambda x: jnp.sum(x**2, axis=1), points))  # [[6. 8.]]
