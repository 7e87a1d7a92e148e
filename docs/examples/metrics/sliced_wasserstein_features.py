import jax

from wgan_jax.metrics import sliced_wasserstein_features

x = jax.random.normal(jax.random.key(0), (64, 8))
print(sliced_wasserstein_features(x, x, jax.random.key(1)))  # 0.0
