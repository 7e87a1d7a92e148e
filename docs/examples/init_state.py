import jax

from wgan_jax import build_gan, init_state
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
state = init_state(gan, jax.random.key(0))
print(int(state.step), len(jax.tree.leaves(state.critic.params)))  # 0 8
