import numpy as np

from wgan_jax.metrics import frechet_distance

mean, cov = np.zeros(2), np.eye(2)
print(round(frechet_distance(mean, cov, mean + 1.0, cov), 6))  # 2.0
