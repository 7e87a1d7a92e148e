import jax

from wgan_jax.metrics import structural_similarity

x = jax.random.uniform(jax.random.key(0), (2, 32, 32, 1), minval=-1.0)
print(structural_similarity(x, x))  # [1. 1.]
