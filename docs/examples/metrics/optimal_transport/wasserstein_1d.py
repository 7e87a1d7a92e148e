import jax.numpy as jnp

from wgan_jax.metrics.optimal_transport import wasserstein_1d

print(wasserstein_1d(jnp.array([0.0, 1.0]), jnp.array([3.0, 2.0])))  # 2.0
