import jax
import jax.numpy as jnp

from wgan_jax.networks import LayerNorm

maps = jax.random.normal(jax.random.key(0), (2, 8, 8, 4))
layer = LayerNorm()
normal = layer.apply(layer.init(jax.random.key(1), maps), maps)
print(bool(jnp.all(jnp.abs(normal.mean(axis=(1, 2, 3))) < 1e-5)))  # True
