import jax
import jax.numpy as jnp

from wgan_jax.losses import consistency


class Critic:
    def perturbed(self, images, key):
        kept = jax.random.bernoulli(key, 0.5, images.shape)  # dropout
        return jnp.sum(images * kept, axis=1), images * kept


real = jnp.ones((4, 8))
value, metrics = consistency(Critic(), real, real, jax.random.key(0))
print(bool(value > 0))  # True
