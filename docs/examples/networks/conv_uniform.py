import jax

from wgan_jax.networks import conv_uniform

kernel = conv_uniform(gain=1.0)(jax.random.key(0), (3, 3, 64, 128))
print(kernel.shape)  # (3, 3, 64, 128)
