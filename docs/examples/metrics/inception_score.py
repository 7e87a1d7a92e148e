import numpy as np

from wgan_jax.metrics import inception_score

logits = 100.0 * np.eye(4)[np.arange(40) % 4]  # four classes, each certain
print(round(inception_score(logits, splits=1).mean, 3))  # 4.0
