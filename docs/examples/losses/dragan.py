import jax
import jax.numpy as jnp

from wgan_jax.losses import dragan


def critic_fn(points):
    return 3.0 * points[:, 0]  # gradient norm 3 everywhere


real, fake = jnp.ones((4, 2)), jnp.zeros((4, 2))
value, norms = dragan(critic_fn, real, fake, jax.random.key(0))
print(value)  # 4.0
