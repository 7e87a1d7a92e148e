import numpy as np

from wgan_jax.metrics import FunctionFeatures, extract_features

extractor = FunctionFeatures(
    lambda x: x.reshape(len(x), -1), name="values", weights="none", size=4
)
found = extract_features(extractor, np.ones((5, 2, 2), np.float32), batch_size=2)
print(found.values.shape, found.logits)  # (5, 4) None
