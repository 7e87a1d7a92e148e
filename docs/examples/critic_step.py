import jax
import jax.numpy as jnp

from wgan_jax import build_gan, critic_step, init_state
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key, real = jax.random.key(0), jnp.ones((16, 2))
update = jax.jit(lambda state: critic_step(gan, state, real, key))
state, metrics = update(init_state(gan, key))
print(int(state.step), int(state.critic_updates))  # 0 1
