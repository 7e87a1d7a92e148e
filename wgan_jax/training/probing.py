"""Computes a network for random inputs, to find out how it depends on them.

Names of layers and collections do not tell: ``batch_stats`` of flax has the vectors of
spectral normalization, too.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.gan import Gan, GanState
from wgan_jax.types import Array, Params, PyTree

ROUNDING = 1e-5  # of the largest output

Outputs = Callable[[np.ndarray, bool], np.ndarray]


def probe(gan: Gan, name: str, state: GanState, model_state: PyTree) -> Outputs:
    """Returns a function of inputs ``[B, ...]`` and ``train`` to outputs ``[B, ...]``.

    The parameters are random and not 0, as those of a last layer often are at the
    start.

    Args:
        gan: static definition of the GAN.
        name: ``generator`` or ``critic``.
        state: shapes and dtypes of its state.
        model_state: initial collections of the network.
    """
    random = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: jnp.asarray(_some_values(random, x.shape), x.dtype),
        getattr(state, name).params,
    )

    @functools.partial(jax.jit, static_argnums=3)
    def output(params: Params, model_state: PyTree, x: Array, train: bool) -> Array:
        labels = None if gan.conditional is None else jnp.zeros(len(x), jnp.int32)
        if name == "generator":
            return gan.generate(params, model_state, x, train=train, labels=labels)[0]
        return gan.score(params, model_state, x, train=train, labels=labels)[0].scores

    def outputs(x: np.ndarray, train: bool) -> np.ndarray:
        return np.asarray(output(params, model_state, x, train))

    return outputs


def some_inputs(gan: Gan, name: str, image: tuple[int, ...]) -> np.ndarray:
    """Returns two inputs of a network, float32 ``[2, ...]``."""
    shape = image if name == "critic" else (gan.latent_size,)
    return np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the largest difference between outputs, relative to them."""
    largest = max(np.abs(first).max(), np.abs(second).max(), 1e-30)
    return float(np.abs(first - second).max() / largest)


def mixes_examples(outputs: Outputs, inputs: np.ndarray) -> bool:
    """Returns whether an output depends on other inputs, in training mode.

    Args:
        outputs: result of ``probe``.
        inputs: two inputs.
    """
    other = np.stack([inputs[0], -2 * inputs[1]])
    first, second = (outputs(x, True)[0] for x in (inputs, other))
    return difference(first, second) > ROUNDING


def _some_values(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) < 2:
        return random.uniform(0.5, 1.5, shape)
    return random.normal(size=shape) / math.sqrt(math.prod(shape[:-1]))
