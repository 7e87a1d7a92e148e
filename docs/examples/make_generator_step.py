import jax

from wgan_jax import build_gan, init_state, make_generator_step
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key = jax.random.key(0)
state, step = init_state(gan, key), make_generator_step(gan, batch_size=16)
state, metrics = step(state, key)
print(int(state.step))  # 1
