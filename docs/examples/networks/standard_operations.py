import jax
import jax.numpy as jnp

from wgan_jax.networks import GENERATORS, standard_operations

network = GENERATORS["dcgan"](image_shape=(8, 8, 1), width=4)
latent = jnp.ones((2, 16))
variables = network.init(jax.random.key(0), latent, train=False)
with standard_operations():
    program = jax.make_jaxpr(lambda z: network.apply(variables, z, train=False))(latent)
print("conv_general_dilated" in str(program))  # True
