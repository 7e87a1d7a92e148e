import numpy as np

from wgan_jax.data import load_source
from wgan_jax.evaluation import EXTRACTORS, make_evaluator

source = load_source("gaussians8", size=200)
extractor = EXTRACTORS["pixels"](source.example_shape)
evaluator = make_evaluator(source, extractor, ["transport", "modes"], count=100)
results, _ = evaluator.evaluate(np.zeros((100, 2), np.float32))
print(results[0].protocol.metric, results[-1].value)  # exact_wasserstein_1 0.0
