from wgan_jax.losses.estimators import lipschitz_bound

print(lipschitz_bound(4.0, max_norm=2.5))  # 1.6
