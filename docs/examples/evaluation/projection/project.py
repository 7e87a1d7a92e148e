import jax

from wgan_jax import zoo
from wgan_jax.evaluation.projection import project

digits = zoo.load("digits")
wanted = digits.sample(jax.random.key(0), 1)
found = project(
    digits.gan,
    digits.params,
    digits.model_state,
    wanted,
    jax.random.key(1),
    starts=10,
    steps=3,
)
print(found.latents.shape == (1, digits.latent_size))  # True
