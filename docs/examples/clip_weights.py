import jax.numpy as jnp

from wgan_jax import clip_weights

params = {"kernel": jnp.array([-2.0, 0.005])}
print(clip_weights(params, bound=0.01)["kernel"])  # [-0.01   0.005]
