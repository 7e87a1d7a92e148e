import jax
import jax.numpy as jnp

from wgan_jax import path_length

regularizer, key = path_length(decay=0.01), jax.random.key(0)
state = regularizer.init()
value, state = regularizer.apply(lambda z: 2.0 * z, jnp.ones((4, 2)), key, state)
print(regularizer.report(state).keys() >= {"generator/path_length"})  # True
