import jax
import jax.numpy as jnp

from wgan_jax.losses import gradient_penalty_and_norms


def critic_fn(points):
    return 3.0 * points[:, 0]  # gradient norm 3 everywhere


real, fake = jnp.ones((4, 2)), jnp.zeros((4, 2))
value, norms = gradient_penalty_and_norms(critic_fn, real, fake, jax.random.key(0))
print(value, norms["critic/gradient_norm_max"])  # 4.0 3.0
