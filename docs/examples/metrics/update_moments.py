import numpy as np

from wgan_jax.metrics import no_moments, update_moments

moments = no_moments(2)
for batch in np.split(np.arange(16.0).reshape(8, 2), 4):
    moments = update_moments(moments, batch)
print(float(moments.examples), np.asarray(moments.mean))  # 8.0 [7. 8.]
