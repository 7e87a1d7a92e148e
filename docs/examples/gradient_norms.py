import jax.numpy as jnp

from wgan_jax import gradient_norms

points = jnp.array([[3.0, 4.0], [0.0, 2.0]])
print(gradient_norms(lambda x: jnp.sum(x**2, axis=1), points))  # [10.  4.]
