import jax
import jax.numpy as jnp

from wgan_jax import latents

key = jax.random.key(0)
first, more = (latents(key, jnp.arange(n), size=3) for n in (2, 4))
print(more.shape, bool((more[:2] == first).all()))  # (4, 3) True
