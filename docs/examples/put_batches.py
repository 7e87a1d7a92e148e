import numpy as np

from wgan_jax import make_mesh, put_batches

mesh = make_mesh()
batches = put_batches(mesh, np.ones((5, 8 * mesh.size, 2)))  # [N, B, D]
print(tuple(batches.sharding.spec))  # (None, 'data')
