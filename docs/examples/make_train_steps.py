import jax
import jax.numpy as jnp

from wgan_jax import build_gan, init_state, make_train_steps
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key = jax.random.key(0)
state, steps = init_state(gan, key), make_train_steps(gan)
state, metrics = steps(state, jnp.ones((3, 5, 16, 2)), key)  # one call, 3 iterations
print(int(state.step))  # 3
