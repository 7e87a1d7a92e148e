import jax
import jax.numpy as jnp

from wgan_jax import build_gan, init_state, make_critic_step
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key = jax.random.key(0)
state, step = init_state(gan, key), make_critic_step(gan)
for _ in range(2):
    state, metrics = step(state, jnp.ones((16, 2)), key)
print(int(state.critic_updates))  # 2
