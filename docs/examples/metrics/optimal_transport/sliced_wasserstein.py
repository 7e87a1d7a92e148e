import jax

from wgan_jax.metrics.optimal_transport import sliced_wasserstein

x = jax.random.normal(jax.random.key(0), (64, 2))
found = sliced_wasserstein(x, x + 1.0, jax.random.key(1), projections=1000)
print(round(float(found), 1))  # 1.0
