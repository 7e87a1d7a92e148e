"""The three two-dimensional toy distributions of WGAN-GP.

See Gulrajani et al., 2017, "Improved Training of Wasserstein GANs"
(``gan_toy.py``). Here, each of them is a fixed set of points: a pure function
of (name, split, seed, size).
"""

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_CENTRES_8 = np.array(
    [(np.cos(angle), np.sin(angle)) for angle in np.arange(8) * np.pi / 4]
)
_CENTRES_25 = np.array(
    [(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)], np.float64
)


class Toy(NamedTuple):
    """Distribution in the plane.

    Attributes:
        draw: returns points ``[size, 2]``, and the component of each or None.
        modes: centers ``[components, 2]`` of a mixture of Gaussians, or None.
        deviation: standard deviation of each component, or None.
    """

    draw: Callable[[np.random.RandomState, int], tuple[np.ndarray, np.ndarray | None]]
    modes: np.ndarray | None = None
    deviation: float | None = None

    @property
    def components(self) -> int | None:
        """Number of mixture components, or None."""
        return None if self.modes is None else len(self.modes)

    @property
    def mixture(self) -> tuple[np.ndarray, float] | None:
        """Centers of the components and their standard deviation, or None."""
        if self.modes is None or self.deviation is None:
            return None
        return self.modes, self.deviation


def draw_points(
    name: str, *, split: str, seed: int, size: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draws all points of one split of a toy dataset.

    Args:
        name: a key of ``TOYS``.
        split: name of the split; different splits are independent.
        seed: 0 or above.
        size: number of points, 1 or above.

    Returns:
        Points float32 ``[size, 2]``, and the component of each point, int32
        ``[size]``, or None for a distribution without components.
    """
    stream = zlib.crc32(f"{name}/{split}".encode())
    sequence = np.random.SeedSequence(seed, spawn_key=(stream,))
    # numpy guarantees a stable stream for RandomState but not for Generator.
    random = np.random.RandomState(np.random.MT19937(sequence))
    points, components = TOYS[name].draw(random, size)
    labels = None if components is None else components.astype(np.int32)
    return points.astype(np.float32), labels


def _gaussians8(
    random: np.random.RandomState, size: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Ring of radius 2 with standard deviation 0.02, divided by 1.414."""
    components = random.randint(8, size=size)
    points = 2.0 * _CENTRES_8[components] + 0.02 * random.randn(size, 2)
    return points / 1.414, components


def _gaussians25(
    random: np.random.RandomState, size: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Grid -4, -2, .. 4 with standard deviation 0.05, over 2.828; equal counts."""
    components = random.permutation(np.arange(size) % 25)
    points = _CENTRES_25[components] + 0.05 * random.randn(size, 2)
    return points / 2.828, components


def _swiss_roll(
    random: np.random.RandomState, size: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Swiss roll seen along its axis, with noise 0.25, divided by 7.5.

    The points equal those of scikit-learn's ``make_swiss_roll`` with the same
    random state.
    """
    angle = 1.5 * np.pi * (1 + 2 * random.uniform(size=size))
    height = 21 * random.uniform(size=size)
    roll = np.vstack((angle * np.cos(angle), height, angle * np.sin(angle)))
    roll += 0.25 * random.standard_normal(size=(3, size))
    return roll.T[:, [0, 2]] / 7.5, None


TOYS: dict[str, Toy] = {
    "gaussians8": Toy(_gaussians8, 2.0 * _CENTRES_8 / 1.414, 0.02 / 1.414),
    "gaussians25": Toy(_gaussians25, _CENTRES_25 / 2.828, 0.05 / 2.828),
    "swiss_roll": Toy(_swiss_roll),
}
