import jax
import jax.numpy as jnp

from wgan_jax import build_gan, init_state, train_steps
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key = jax.random.key(0)
real = jnp.ones((3, 5, 16, 2))  # three iterations of N = 5 critic updates
state, metrics = jax.jit(lambda s: train_steps(gan, s, real, key))(init_state(gan, key))
print(int(state.step), metrics["critic/loss"].shape)  # 3 (3,)
