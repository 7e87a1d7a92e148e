import jax

from wgan_jax import abstract_state, build_gan
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
state = abstract_state(gan)  # shapes only
print(sum(x.size for x in jax.tree.leaves(state.critic.params)))  # 527361
