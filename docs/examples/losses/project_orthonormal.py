import jax.numpy as jnp

from wgan_jax.losses import project_orthonormal

params = {"kernel": jnp.diag(jnp.array([4.0, 2.0]))}
print(jnp.round(project_orthonormal(params)["kernel"], 3))  # [[1. 0.] [0. 1.]]
