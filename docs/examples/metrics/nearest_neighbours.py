import numpy as np

from wgan_jax.metrics import nearest_neighbours

found = nearest_neighbours(np.array([[0.9]]), np.array([[0.0], [1.0], [3.0]]), k=2)
print(found.indices, np.round(found.distances, 3))  # [[1 0]] [[0.1 0.9]]
