import numpy as np

from wgan_jax.metrics import rgb_levels

images = np.array([-1.0, 0.0, 1.0], np.float32).reshape(1, 1, 3, 1)
print(rgb_levels(images)[0, 0, :, 0])  # [  0 128 255]
