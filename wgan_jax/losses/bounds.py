"""Whether the parts of a GAN bound the gradient of its critic."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from wgan_jax.losses.scores import consistency, drift
from wgan_jax.losses.terms import Term

# Penalties on scores, and on differences of scores at one point.
_NOT_ON_GRADIENTS: tuple[Callable[..., Any], ...] = (consistency, drift)
_UNBOUNDED = ("plain", "weight_norm")


def bounds_gradient(critic: object, penalties: Sequence[Term], constraint: Any) -> bool:
    """Returns whether something bounds the gradient of a critic.

    Without a bound on its gradient, a critic increases the gap of its scores by
    its scale alone, so the gap estimates no Wasserstein distance.

    Args:
        critic: the network.
        penalties: terms added to the critic loss.
        constraint: projection of the critic parameters, or None.

    Returns:
        Whether there is a constraint, spectral normalization, or a penalty on
        gradients. Networks and penalties that are not of this package may bound
        the gradient, so they count as if they did.
    """
    others = tuple(map(_plain_function, _NOT_ON_GRADIENTS))
    kind = type(critic)
    known = kind.__module__.startswith("wgan_jax.networks.")
    known = known and kind.__name__ == "Critic"
    return (
        constraint is not None
        or any(_plain_function(term.function) not in others for term in penalties)
        or not known
        or getattr(critic, "parametrization", "plain") not in _UNBOUNDED
    )


def _plain_function(function: Callable[..., Any]) -> Any:
    """Returns a function without its decorators and bound options."""
    while isinstance(function, partial):
        function = function.func
    return inspect.unwrap(function)
