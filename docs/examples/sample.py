import jax

from wgan_jax import build_gan, init_state, sample
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
key = jax.random.key(0)
points = sample(gan, init_state(gan, key), key, 8)
print(points.shape)  # (8, 2)
