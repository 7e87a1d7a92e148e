"""Inputs of the golden files, drawn by NumPy from names and seeds.

The tests and ``golden/make_golden.py`` import this module, so that millions of
weights need not be stored. The streams of ``RandomState`` are frozen.
"""

import zlib

import numpy as np

SUBSETS, SUBSET_SIZE = 20, 60
SPLITS = 10


def samples():
    """Returns two samples of different sizes whose balls overlap partly, float64."""
    random = np.random.RandomState(0)
    mixing = random.randn(8, 12)
    real = random.randn(203, 8) @ mixing + 3.0
    fake = 0.8 * random.randn(181, 8) @ mixing + 3.6
    return real, fake + 0.1 * random.randn(181, 12)


def large_samples():
    """Returns 103 features far from zero, for which float32 sums are inaccurate."""
    random = np.random.RandomState(2)
    spread = np.array([1.0, 0.3, 3.0, 0.1, 2.0])
    return (1e4 + random.randn(103, 5) * spread).astype(np.float32)


def logits():
    """Returns logits ordered by class, as for a class-conditional generator."""
    random = np.random.RandomState(1)
    classes = np.arange(203) * 17 // 203
    return 2.0 * random.randn(203, 17) + 4.0 * np.eye(17)[classes]


def images(side, *, count=2):
    """Returns uint8 NHWC images: coarse colors with noise."""
    random = np.random.RandomState(side)
    coarse = random.randint(0, 200, (count, 4, 4, 3))
    large = coarse.repeat(side // 4, axis=1).repeat(side // 4, axis=2)
    return (large + random.randint(0, 56, large.shape)).astype(np.uint8)


def weights(name, shape):
    """Returns one float32 array of FID's Inception by its name in the file."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith(("bn.weight", "running_var")):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if len(shape) == 1:
        return 0.1 * random.randn(*shape).astype(np.float32)
    gain = np.sqrt(2.0 / np.prod(shape[1:]))
    return (gain * random.randn(*shape)).astype(np.float32)
