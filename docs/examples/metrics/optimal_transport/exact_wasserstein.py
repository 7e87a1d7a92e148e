import numpy as np

from wgan_jax.metrics.optimal_transport import exact_wasserstein

print(exact_wasserstein(np.array([[0.0], [1.0]]), np.array([[3.0], [2.0]])))  # 2.0
