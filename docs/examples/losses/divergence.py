import jax
import jax.numpy as jnp

from wgan_jax.losses import divergence


def critic_fn(points):
    return 3.0 * points[:, 0]  # gradient norm 3 everywhere


real, fake = jnp.ones((4, 2)), jnp.zeros((4, 2))
value, norms = divergence(critic_fn, real, fake, jax.random.key(0), power=2.0)
print(value)  # 9.0
