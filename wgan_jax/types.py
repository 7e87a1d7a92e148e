"""Array aliases, protocols of user-supplied functions, and shape letters.

Shapes in this package use these letters:

    B  batch            examples per update, over all devices
    H  height, W width, C channels of an image
    Z  latent           size of the generator's input
    N  critic updates   per generator update (``n_critic``)
    K  kernel           side of a square convolution kernel

Images are float32 in [-1, 1], NHWC. Data other than images, such as points in
the plane, is ``[B, D]`` and uses the same functions.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import jax

Array: TypeAlias = jax.Array
PRNGKey: TypeAlias = jax.Array
"""Typed PRNG key, as returned by ``jax.random.key``."""
PyTree: TypeAlias = Any
Params: TypeAlias = PyTree
Metrics: TypeAlias = dict[str, Array]
Batch: TypeAlias = Mapping[str, Array]


class CriticFn(Protocol):
    """Critic with its parameters bound: one independent score per example.

    Score i depends only on example i. The gradient of the sum of the scores is
    therefore the per-example gradient, which the penalties rely on.

    A critic with random parts also has a method
    ``perturbed(images, key) -> (scores [B], features [B, F])``. It evaluates
    the same critic with dropout drawn from the key and also returns the input
    of its last layer.
    """

    def __call__(self, images: Array, /) -> Array:
        """Returns scores ``[B]`` of examples ``[B, ...]``."""
        ...


class GenerateFn(Protocol):
    """Generator with its parameters bound; image i depends only on latent i."""

    def __call__(self, latent: Array, /) -> Array:
        """Returns images ``[B, ...]`` of latents ``[B, Z]``."""
        ...


class Penalty(Protocol):
    """Term of the critic loss, before its weight is applied."""

    def __call__(
        self, critic_fn: CriticFn, real: Array, fake: Array, key: PRNGKey, /
    ) -> Array | tuple[Array, Metrics]:
        """Returns the scalar penalty, optionally with metrics to log.

        ``real`` and ``fake`` are ``[B, ...]``; ``fake`` carries no gradient.
        """
        ...


class Constraint(Protocol):
    """Projection of the critic parameters, applied after each critic update."""

    def __call__(self, params: Params, /) -> Params:
        """Returns parameters of the same structure that satisfy the constraint."""
        ...
