from wgan_jax import build_gan
from wgan_jax.config.loading import find_config, load_config

gan = build_gan(load_config(find_config("gaussians_wgan_gp")), (2,))
print(type(gan.critic).__name__, gan.latent_size)  # Critic 2
