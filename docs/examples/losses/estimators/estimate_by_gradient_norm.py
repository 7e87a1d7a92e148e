from wgan_jax.losses.estimators import estimate_by_gradient_norm

print(estimate_by_gradient_norm(4.0, mean_norm=2.0))  # 2.0
