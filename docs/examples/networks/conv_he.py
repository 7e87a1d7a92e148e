import jax

from wgan_jax.networks import conv_he

kernel = conv_he(stride=2)(jax.random.key(0), (3, 3, 64, 128))
print(kernel.shape)  # (3, 3, 64, 128)
