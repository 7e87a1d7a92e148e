"""Evaluates on as many virtual devices as are asked for; prints the numbers."""

import json
import os
import sys

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    f" --xla_force_host_platform_device_count={sys.argv[1]}"
)

import jax
import numpy as np

from wgan_jax.data import Source
from wgan_jax.evaluation import make_evaluator
from wgan_jax.metrics import FunctionFeatures

random = np.random.RandomState(0)
source = Source(
    name="noise",
    split="train",
    images=random.randint(0, 256, (103, 4, 4, 1)).astype(np.uint8),
)
fakes = random.randint(0, 200, (61, 4, 4, 1)).astype(np.uint8)
kernel = random.randn(16, 6).astype(np.float32)
devices = set()


@jax.jit
def project(images):
    return jax.numpy.dot(images.reshape(-1, 16) / 255.0, kernel, precision="highest")


def features(images):
    devices.add(len(getattr(images, "devices", lambda: [0])()))
    return project(images)


extractor = FunctionFeatures(features, "projected", "none", 6)
evaluator = make_evaluator(
    source, extractor, ("frechet", "manifold", "sliced"), count=103, batch_size=10
)
results, _ = evaluator.evaluate(fakes)
values = {result.protocol.metric: result.value for result in results}
print(json.dumps({"devices": max(devices), "values": values}))
