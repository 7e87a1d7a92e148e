"""Array aliases, protocols of functions that users supply, and shape letters.

Every shape in this package is written with these letters:

    B  batch            examples that one update sees, over all devices
    H  height, W width, C channels of an image
    Z  latent           size of the generator's input
    N  critic updates   per generator update (``n_critic``)
    K  kernel           side of a square convolution kernel

Images are float32 in [-1, 1], NHWC. Data that is not an image (points of a
plane) is ``[B, D]`` and passes through the same functions.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import jax

Array: TypeAlias = jax.Array
PRNGKey: TypeAlias = jax.Array
"""A typed key, as made by ``jax.random.key``."""
PyTree: TypeAlias = Any
Params: TypeAlias = PyTree
Metrics: TypeAlias = dict[str, Array]
Batch: TypeAlias = Mapping[str, Array]


class CriticFn(Protocol):
    """A critic with its parameters bound: one score per example, examples apart.

    Score i depends on example i alone. The gradient of the summed scores is
    then the gradient of each example by itself, which the penalties rely on.

    One that has random parts offers them as the method
    ``perturbed(images, key) -> (scores [B], features [B, F])``: the same critic
    with dropout drawn from the key, and the input of its last layer.
    """

    def __call__(self, images: Array, /) -> Array:
        """Scores ``[B]`` of examples ``[B, ...]``."""
        ...


class GenerateFn(Protocol):
    """A generator with its parameters bound: image i depends on latent i alone."""

    def __call__(self, latent: Array, /) -> Array:
        """Images ``[B, ...]`` of latents ``[B, Z]``."""
        ...


class Penalty(Protocol):
    """A term of the critic's loss, before its weight."""

    def __call__(
        self, critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey, /
    ) -> Array | tuple[Array, Metrics]:
        """A scalar, or the scalar and what is worth logging of its computation.

        ``real`` and ``fake`` are ``[B, ...]``; ``fake`` carries no gradient.
        """
        ...


class Constraint(Protocol):
    """A projection of the critic's parameters after its update."""

    def __call__(self, params: Params, /) -> Params:
        """Parameters of the same structure, inside the constraint."""
        ...
