import numpy as np

from wgan_jax.metrics import mode_scores

modes = np.array([[0.0, 0.0], [1.0, 0.0]])
points = np.array([[0.01, 0.0], [0.02, 0.0], [5.0, 5.0]])
found = mode_scores(points, modes, deviation=0.1)
print(found.covered, found.counts)  # 1 [2 0]
