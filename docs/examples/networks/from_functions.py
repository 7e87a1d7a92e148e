import jax
import jax.numpy as jnp

from wgan_jax.networks import from_functions

network = from_functions(
    lambda key: {"w": jax.random.normal(key, (2, 2))},
    lambda params, latent, *, train: jnp.tanh(latent @ params["w"]),
)
variables = network.init(jax.random.key(0), jnp.ones((4, 2)), train=False)
print(jax.tree.map(jnp.shape, variables["params"]))  # {'w': (2, 2)}
