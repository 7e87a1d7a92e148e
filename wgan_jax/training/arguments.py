"""Checks that the arguments of a step are a Gan, its state and a PRNG key."""

from typing import Any

import jax
import jax.numpy as jnp

from wgan_jax.gan import Gan, GanState


def check_is_gan(gan: Any) -> None:
    """Raises ValueError if an argument is no ``Gan``."""
    if not isinstance(gan, Gan):
        raise ValueError(
            f"gan is {_short(gan)}; it must be a Gan, such as build_gan(config) "
            "returns."
        )


def check_is_state(state: Any) -> None:
    """Raises ValueError if an argument is no state, or one that was donated."""
    if not isinstance(state, GanState):
        raise ValueError(
            f"state is {_short(state)}; it must be a GanState, such as init_state "
            "returns."
        )
    step = state.step
    known = isinstance(step, jax.Array) and not isinstance(step, jax.core.Tracer)
    if known and step.is_deleted():
        raise ValueError(
            "state was donated to an earlier step, which reuses its memory. Use the "
            "state that the step returned, or compile the step with donate=False."
        )


def check_is_key(key: Any) -> None:
    """Raises ValueError if an argument is no PRNG key, typed or of uint32."""
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not typed and not (dtype == jnp.uint32 and key.ndim > 0):
        raise ValueError(
            f"key is {_short(key)}; it must be a PRNG key, such as jax.random.key(0)."
        )


def check_arguments(gan: Any, state: Any, key: Any) -> None:
    """Raises ValueError for the first argument of a step that is of another kind."""
    check_is_gan(gan)
    check_is_state(state)
    check_is_key(key)


def _short(value: Any) -> str:
    """Returns a number or a text as it is, and the type of anything else."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return repr(value) if plain else f"of type {type(value).__name__}"
