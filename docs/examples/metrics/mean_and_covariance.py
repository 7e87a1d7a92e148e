import numpy as np

from wgan_jax.metrics import mean_and_covariance, no_moments, update_moments

moments = update_moments(no_moments(1), np.array([[0.0], [2.0]]))
print(mean_and_covariance(moments))  # (array([1.]), array([[2.]]))
