import numpy as np

from wgan_jax.metrics import merge_moments, no_moments, update_moments

first, second = (update_moments(no_moments(1), np.full((4, 1), v)) for v in (0.0, 2.0))
print(np.asarray(merge_moments(first, second).mean))  # [1.]
