import numpy as np

from wgan_jax.metrics.optimal_transport import gaussian_wasserstein

near, far, cov = np.zeros(2), np.array([3.0, 4.0]), np.eye(2)
print(gaussian_wasserstein(near, cov, far, cov))  # 5.0
