import jax

from wgan_jax import zoo

images = zoo.load("digits").sample(jax.random.key(0), 10)
print(images.shape, images.dtype)  # (10, 8, 8, 1) float32
