import jax.numpy as jnp

from wgan_jax.losses.estimators import grid_max_norm


def critic_fn(points):
    return jnp.sum(points**2, axis=1)  # gradient norm 2 |x|


print(grid_max_norm(critic_fn, jnp.zeros(2), jnp.array([3.0, 4.0]), points=3))  # 10.0
