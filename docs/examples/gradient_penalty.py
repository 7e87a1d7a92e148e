import jax
import jax.numpy as jnp

from wgan_jax import gradient_penalty


def critic_fn(points):
    return 3.0 * points[:, 0]  # gradient norm 3 everywhere


real, fake = jnp.ones((4, 2)), jnp.zeros((4, 2))
print(gradient_penalty(critic_fn, real, fake, jax.random.key(0)))  # 4.0
