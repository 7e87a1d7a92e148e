import jax.numpy as jnp

from wgan_jax.losses import project_spectral

params = {"kernel": jnp.diag(jnp.array([4.0, 2.0]))}
print(project_spectral(params, bound=1.0)["kernel"])  # [[1.  0. ] [0.  0.5]]
