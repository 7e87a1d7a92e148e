"""Schedules of the critic's updates and of the learning rate.

Iterations are generator updates, everywhere and for both networks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp

from wgan_jax.ranges import Count, check_fields
from wgan_jax.types import Array


@dataclass(frozen=True, kw_only=True)
class CriticSchedule:
    """How many updates the critic takes before each generator update.

    The 2017 WGAN code trains its critic 100 times in each of the first 25
    iterations and in every 500th after, and 5 times otherwise: the boost.

    Attributes:
        n_critic: updates in an ordinary iteration, >= 1.
        boosted_n_critic: updates in a boosted iteration, or None for no boost.
        boosted_first: the iterations 0 .. boosted_first - 1 are boosted.
        boosted_every: iterations divisible by it are boosted.

    Raises:
        ValueError: if a number is below 1, or a boost is given in part.

    Reference:
        The authors' ``main.py`` (``gen_iterations < 25 or gen_iterations % 500
        == 0``) to arXiv:1701.07875.
    """

    n_critic: Count
    boosted_n_critic: Count | None = None
    boosted_first: Count | None = None
    boosted_every: Count | None = None

    def __post_init__(self) -> None:
        boost = (self.boosted_n_critic, self.boosted_first, self.boosted_every)
        if None in boost and boost != (None, None, None):
            raise ValueError(
                "CriticSchedule: boosted_n_critic, boosted_first and boosted_every "
                f"go together, but are {boost}."
            )
        check_fields(self)

    def updates(self, iteration: int) -> int:
        """Critic updates N of one iteration (counted from 0)."""
        if self.boosted_n_critic is None:
            return self.n_critic
        first, every = self.boosted_first or 0, self.boosted_every or 1
        boosted = iteration < first or iteration % every == 0
        return self.boosted_n_critic if boosted else self.n_critic

    def updates_before(self, iteration: int) -> int:
        """Critic updates of all iterations before this one, in closed form."""
        if self.boosted_n_critic is None:
            return self.n_critic * iteration
        first, every = self.boosted_first or 0, self.boosted_every or 1
        head = min(iteration, first)
        # Multiples of `every` in [head, iteration), beside the head itself.
        multiples = -(-iteration // every) - -(-head // every)
        boosted = head + multiples
        return self.boosted_n_critic * boosted + self.n_critic * (iteration - boosted)

    def distinct_updates(self, start: int, stop: int) -> list[int]:
        """The values of N in iterations [start, stop), in order of appearance."""
        return list(dict.fromkeys(self.updates(t) for t in range(start, stop)))


def constant(iteration: Array) -> Array:
    """Factor 1 on the learning rates, at any iteration."""
    return jnp.ones_like(iteration, dtype=jnp.float32)


def linear_decay(iteration: Array, *, iterations: int) -> Array:
    r"""Factor on the learning rates that falls to 0 at the end.

    .. math:: s_t = \max(0, 1 - t / T)

    Args:
        iteration: scalar int32, generator updates so far.
        iterations: length T of the run.

    Returns:
        Scalar float32 in [0, 1], equal for all critic updates of an iteration.

    Reference:
        The authors' ``gan_cifar_resnet.py`` to Gulrajani et al. 2017,
        arXiv:1704.00028.
    """
    return jnp.maximum(0.0, 1.0 - iteration.astype(jnp.float32) / iterations)


def cosine(
    iteration: Array, *, iterations: int, initial: float = 1.0, final: float
) -> Array:
    r"""A value that moves along half a cosine and then stays.

    .. math:: s_t = b + \frac{a - b}{2}
        \left(1 + \cos\left(\pi \min(1, t / T)\right)\right)

    Args:
        iteration: scalar int32 t, generator updates so far.
        iterations: length T of the way.
        initial: a, the value at the start.
        final: b, the value from T on.

    Returns:
        Scalar float32 between the two.

    Reference:
        Loshchilov, Hutter 2016, arXiv:1608.03983, equation 5 without restarts;
        for the learning rate, the penalty and others in Huang et al. 2024,
        arXiv:2501.05441.
    """
    way = jnp.minimum(1.0, iteration.astype(jnp.float32) / iterations)
    return final + (initial - final) / 2 * (1.0 + jnp.cos(jnp.pi * way))


LEARNING_RATE_SCHEDULES: dict[str, Callable[..., Array]] = {
    "constant": constant,
    "linear_decay": linear_decay,
    "cosine": cosine,
}
