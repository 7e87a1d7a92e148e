"""Pairs of distributions in the plane, and their exact distances.

``critic_truth.py`` trains critics between them. The points are a function of
(name, stream, size).
"""

import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from wgan_jax.data.toys import draw_points
from wgan_jax.metrics.optimal_transport import exact_wasserstein

BLOCKS, BLOCK = 4, 2000  # fresh samples for the exact distance and the estimates


def blob(random, size):
    """Draws from a Gaussian at the origin with standard deviation 0.3."""
    return 0.3 * random.standard_normal((size, 2))


def far_cluster(random, size):
    """Draws from the blob, with every tenth point moved six to the right."""
    points = blob(random, size)
    points[: size // 10, 0] += 6
    return random.permutation(points)


def line(position):
    """Returns a sampler of points (position, z), with z uniform in [0, 1)."""
    return lambda random, size: np.stack(
        [np.full(size, position), random.uniform(size=size)], axis=1
    )


def toy(name):
    """Returns a sampler of a distribution in ``wgan_jax/data/toys.py``."""

    def draw(random, size):
        seed = int(random.integers(2**31))
        return draw_points(name, split="truth", seed=seed, size=size)[0]

    return draw


PAIRS = {
    "shifted blob/blob": (lambda r, n: blob(r, n) + np.array([1.5, 0]), blob),
    "ring/blob": (toy("gaussians8"), blob),
    "25-grid/blob": (toy("gaussians25"), blob),
    "far cluster/blob": (far_cluster, blob),
    "ring/Swiss roll": (toy("gaussians8"), toy("swiss_roll")),
    # The example of Arjovsky, Chintala, Bottou 2017, with theta = 1.
    "parallel lines": (line(1.0), line(0.0)),
}
# For a shift of all points or a tenth of them, the distance is known analytically.
KNOWN = {"shifted blob/blob": 1.5, "far cluster/blob": 0.6, "parallel lines": 1.0}


def draw(pair, size, stream):
    """Draws real and fake points of a pair, float32 ``[size, 2]`` each."""
    random = np.random.default_rng([stream, list(PAIRS).index(pair)])
    return [side(random, size).astype(np.float32) for side in PAIRS[pair]]


class Truth(NamedTuple):
    """Exact distance of a pair.

    Attributes:
        real: fresh real samples, ``[BLOCKS, BLOCK, 2]``.
        fake: fresh fake samples, ``[BLOCKS, BLOCK, 2]``.
        distance: mean of exact W1 over the blocks.
        error: standard error of that mean.
        half: the same mean for blocks of half the size. Its difference to
            ``distance`` estimates the bias of the distance between samples,
            which is larger than that between the distributions.
    """

    real: np.ndarray
    fake: np.ndarray
    distance: float
    error: float
    half: float


def truth(pair):
    """Computes the exact distance of a pair from fresh samples."""
    real, fake = (x.reshape(BLOCKS, BLOCK, 2) for x in draw(pair, BLOCKS * BLOCK, 1))
    whole = [exact_wasserstein(*xy) for xy in zip(real, fake, strict=True)]
    halves = [x.reshape(2 * BLOCKS, BLOCK // 2, 2) for x in (real, fake)]
    half = [exact_wasserstein(*xy) for xy in zip(*halves, strict=True)]
    error = np.std(whole, ddof=1) / np.sqrt(BLOCKS)
    return Truth(real, fake, float(np.mean(whole)), float(error), float(np.mean(half)))
