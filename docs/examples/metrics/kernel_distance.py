import numpy as np

from wgan_jax.metrics import kernel_distance

x = np.random.default_rng(0).normal(size=(64, 8))
found = kernel_distance(x, x + 3.0, subsets=10, subset_size=32)
print(found.mean > 1, found.deviation > 0)  # True True
