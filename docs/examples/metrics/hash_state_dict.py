import numpy as np

from wgan_jax.metrics import hash_state_dict

print(len(hash_state_dict({"w": np.zeros(3)})))  # 16
