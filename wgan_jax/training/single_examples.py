"""Finds networks whose output is constant for a batch of one example.

Batch normalization of one value per channel subtracts the value from itself, so
nothing before it has an effect. That is the case for a dense layer, or a map of
one pixel, in a batch of one example.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.gan import Gan, GanState
from wgan_jax.modules import title
from wgan_jax.training.init import abstract_images, check_gan, initial_state
from wgan_jax.types import Array, Params, PyTree

_ROUNDING = 1e-5  # of the largest output


def check_examples(
    gan: Gan, *, generator: int | None = None, critic: int | None = None
) -> None:
    """Raises ValueError if a network is constant for a batch of one example.

    Args:
        gan: static definition of the GAN.
        generator: number of latents in a pass through the generator in training
            mode; None for no pass.
        critic: number of examples in a pass through the critic in training mode;
            None for no pass.

    Raises:
        ValueError: if a number is 1, and the output of that network in training
            mode is the same for all inputs.
    """
    for name, count in (("generator", generator), ("critic", critic)):
        if count == 1 and is_constant(gan, name):
            raise ValueError(
                f"{title(getattr(gan, name))} gets 1 example at a time, and batch norm "
                "of one value per channel makes its output the same for all inputs. "
                "Use a batch size of at least 2 per microbatch, or a network without "
                "batch norm."
            )


@functools.lru_cache(maxsize=8)
def is_constant(gan: Gan, name: str) -> bool:
    """Returns whether a network ignores its input if it is a batch of one example.

    The network is computed, because names of layers and collections do not tell.

    Args:
        gan: static definition of the GAN.
        name: ``generator`` or ``critic``.

    Returns:
        Whether two examples have the same output in training mode, but not in
        evaluation mode. False if the network has options that are traced.
    """
    state = check_gan(gan)
    if not getattr(state, name).model_state:
        return False  # training mode is evaluation mode, apart from dropout
    try:
        # Computes within a step that is being traced, too.
        with jax.ensure_compile_time_eval():
            difference = _differences(gan, state, name)
            return difference(True) <= _ROUNDING < difference(False)
    except jax.errors.TracerArrayConversionError:
        return False


def _differences(gan: Gan, state: GanState, name: str) -> Callable[[bool], float]:
    """Returns a function of ``train``: how much two outputs differ, relative to them.

    Args:
        gan: static definition of the GAN.
        state: shapes and dtypes of its state.
        name: name of the network.
    """
    random = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: jnp.asarray(_some_values(random, x.shape), x.dtype),
        getattr(state, name).params,
    )
    # Without the initial parameters, whose random numbers take long to compile.
    model_state = jax.jit(
        lambda key: getattr(initial_state(gan, key), name).model_state
    )(jax.random.key(0))
    shape = (gan.latent_size,)
    if name == "critic":
        shape = abstract_images(gan, state).shape[1:]
    inputs = [
        jnp.asarray(random.normal(size=(1, *shape)), jnp.float32) for _ in range(2)
    ]
    labels = None if gan.conditional is None else jnp.zeros((1,), jnp.int32)

    @functools.partial(jax.jit, static_argnums=3)
    def output(params: Params, model_state: PyTree, x: Array, train: bool) -> Array:
        if name == "generator":
            return gan.generate(params, model_state, x, train=train, labels=labels)[0]
        return gan.score(params, model_state, x, train=train, labels=labels)[0].scores

    def difference(train: bool) -> float:
        first, second = (
            np.asarray(output(params, model_state, x, train)) for x in inputs
        )
        largest = max(np.abs(first).max(), np.abs(second).max(), 1e-30)
        return float(np.abs(first - second).max() / largest)

    return difference


def _some_values(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Returns parameters without zeros, which last layers are often initialized to."""
    if len(shape) < 2:
        return random.uniform(0.5, 1.5, shape)
    return random.normal(size=shape) / math.sqrt(math.prod(shape[:-1]))
