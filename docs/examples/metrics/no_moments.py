from wgan_jax.metrics import no_moments

moments = no_moments(3)
print(float(moments.examples), moments.scatter.shape)  # 0.0 (3, 3)
