import jax
import jax.numpy as jnp

from wgan_jax import Pairs, build_gan, critic_update, init_state
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key = jax.random.key(0)
pairs = Pairs(real=jnp.ones((16, 2)), fake=jnp.zeros((16, 2)))  # your own fakes
state, metrics = critic_update(gan, init_state(gan, key), pairs, key)
print(int(state.critic_updates))  # 1
