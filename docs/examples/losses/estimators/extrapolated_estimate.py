from wgan_jax.losses.estimators import extrapolated_estimate

# E = 2 + 4 / (2 w) at the weights 1 and 2.
print(extrapolated_estimate((4.0, 3.0), weights=(1.0, 2.0)))  # 2.0
