import jax

from wgan_jax import build_gan, generator_step, init_state
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key = jax.random.key(0)
update = jax.jit(lambda state: generator_step(gan, state, key, batch_size=16))
state, metrics = update(init_state(gan, key))
print(int(state.step), int(state.critic_updates))  # 1 0
