"""A weighted term of a loss: a penalty of the critic or a generator's regularizer."""

from collections.abc import Callable
from typing import Any, NamedTuple

from wgan_jax.types import Array


class Term(NamedTuple):
    """A weighted term of a player's loss; a plain pair or triple will do too.

    Attributes:
        function: a penalty of the critic or a regularizer of the generator.
        weight: its factor, > 0, or a function from the iteration (scalar
            int32) to it.
        every: it is computed in every ``every``-th update of its player only,
            with ``every`` times the weight, >= 1. Its mean over updates stays
            the same, and since it shares the update of the main loss the
            optimiser's decays need no correction.
        name: if given, the weighted term is logged as
            ``critic/penalty/<name>`` or ``generator/regularizer/<name>``.
    """

    function: Any
    weight: float | Array | Callable[[Array], Array]
    every: int = 1
    name: str = ""

    def weight_at(self, step: Array) -> float | Array:
        """The factor in one of the updates that compute the term."""
        weight = self.weight(step) if callable(self.weight) else self.weight
        return weight * self.every
