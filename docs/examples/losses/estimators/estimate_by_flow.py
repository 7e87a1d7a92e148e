from wgan_jax.losses.estimators import estimate_by_flow

print(estimate_by_flow(4.0, penalty=1.0))  # 2.0
