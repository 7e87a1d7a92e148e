import jax
import jax.numpy as jnp
from flax import nnx

from wgan_jax.networks import from_nnx

network = from_nnx(lambda rngs: nnx.Linear(2, 2, rngs=rngs))
variables = network.init(jax.random.key(0), jnp.ones((4, 2)), train=False)
print(jax.tree.map(jnp.shape, variables["params"]))  # {'bias': (2,), 'kernel': (2, 2)}
