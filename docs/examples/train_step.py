import jax
import jax.numpy as jnp

from wgan_jax import build_gan, init_state, train_step
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key = jax.random.key(0)
real = jnp.ones((5, 16, 2))  # N = 5 critic updates, B = 16
state, metrics = jax.jit(lambda s: train_step(gan, s, real, key))(init_state(gan, key))
print(int(state.step), int(state.critic_updates))  # 1 5
