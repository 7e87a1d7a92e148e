from wgan_jax.losses.estimators import estimate_by_penalty

# A critic with penalty weight 1 reads E = W + W^2 / 2, which is 4 for W = 2.
print(estimate_by_penalty(4.0, weight=1.0))  # 2.0
