import jax
import jax.numpy as jnp

from wgan_jax import build_gan, init_replicas
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
keys = jax.vmap(jax.random.key)(jnp.arange(3))  # three seeds
states = init_replicas(gan, keys)
print(states.step.shape)  # (3,)
