import jax.numpy as jnp

from wgan_jax import wasserstein_estimate

real, fake = jnp.array([2.0, 4.0]), jnp.array([1.0, 0.0])
print(wasserstein_estimate(real, fake))  # 2.5
