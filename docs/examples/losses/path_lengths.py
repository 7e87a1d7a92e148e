import jax
import jax.numpy as jnp

from wgan_jax.losses import path_lengths

lengths = path_lengths(lambda z: 2.0 * z, jnp.ones((4, 2)), jax.random.key(0))
print(lengths.shape)  # (4,)
