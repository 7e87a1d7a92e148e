"""Finds networks whose output is constant for a batch of one example.

Batch normalization of one value per channel subtracts the value from itself, so
nothing before it has an effect. That is the case for a dense layer, or a map of
one pixel, in a batch of one example.
"""

import functools

import jax

from wgan_jax.gan import Gan
from wgan_jax.modules import title
from wgan_jax.training.init import check_gan, probe_network
from wgan_jax.training.probing import ROUNDING, difference


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
            outputs, inputs = probe_network(gan, name, state)
            training, evaluation = (
                difference(outputs(inputs[:1], train), outputs(inputs[1:], train))
                for train in (True, False)
            )
    except jax.errors.TracerArrayConversionError:
        return False
    return training <= ROUNDING < evaluation
