"""Schedules of critic updates, the learning rate, and the decay of the EMA.

One iteration is one generator update, in the schedules of both networks.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp

from wgan_jax.ranges import Count, NotNegative, Positive, check_fields, checked
from wgan_jax.types import Array


@dataclass(frozen=True, kw_only=True)
class CriticSchedule:
    """Number of critic updates before each generator update.

    The 2017 WGAN code runs 5 critic updates per iteration, but 100 ("boosted")
    in each of the first 25 iterations and in every 500th iteration.

    Attributes:
        n_critic: critic updates in an ordinary iteration, >= 1.
        boosted_n_critic: critic updates in a boosted iteration, or None for no
            boost.
        boosted_first: iterations 0 .. boosted_first - 1 are boosted.
        boosted_every: iterations divisible by this number are boosted.

    Raises:
        ValueError: if a number is below 1, or only some of the boost fields are
            set.

    Reference:
        The authors' ``main.py`` (``gen_iterations < 25 or gen_iterations % 500
        == 0``) for arXiv:1701.07875.
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
                f"are {boost}; set either all or none of them."
            )
        check_fields(self)

    def updates(self, iteration: int) -> int:
        """Returns the critic updates N of one iteration (counted from 0)."""
        if self.boosted_n_critic is None:
            return self.n_critic
        first, every = self.boosted_first or 0, self.boosted_every or 1
        boosted = iteration < first or iteration % every == 0
        return self.boosted_n_critic if boosted else self.n_critic

    def updates_before(self, iteration: int) -> int:
        """Returns the total critic updates before an iteration, in closed form."""
        if self.boosted_n_critic is None:
            return self.n_critic * iteration
        first, every = self.boosted_first or 0, self.boosted_every or 1
        head = min(iteration, first)
        # Multiples of `every` in [head, iteration), not counting the head itself.
        multiples = -(-iteration // every) - -(-head // every)
        boosted = head + multiples
        return self.boosted_n_critic * boosted + self.n_critic * (iteration - boosted)

    def distinct_updates(self, start: int, stop: int) -> list[int]:
        """Returns the values of N in iterations [start, stop), by first appearance."""
        return list(dict.fromkeys(self.updates(t) for t in range(start, stop)))


def constant(iteration: Array) -> Array:
    """Returns the learning-rate factor 1 for every iteration."""
    return jnp.ones_like(iteration, dtype=jnp.float32)


def linear_decay(iteration: Array, *, iterations: int) -> Array:
    r"""Returns a learning-rate factor that decays linearly to 0.

    .. math:: s_t = \max(0, 1 - t / T)

    Args:
        iteration: scalar int32, number of generator updates so far.
        iterations: length T of the run.

    Returns:
        Scalar float32 in [0, 1], the same for all critic updates of an
        iteration.

    Reference:
        ``gan_cifar_resnet.py`` of Gulrajani et al. 2017, arXiv:1704.00028.
    """
    return jnp.maximum(0.0, 1.0 - iteration.astype(jnp.float32) / iterations)


def cosine(
    iteration: Array, *, iterations: int, initial: float = 1.0, final: float
) -> Array:
    r"""Returns a value that follows half a cosine and then stays constant.

    .. math:: s_t = b + \frac{a - b}{2}
        \left(1 + \cos\left(\pi \min(1, t / T)\right)\right)

    Args:
        iteration: scalar int32 t, number of generator updates so far.
        iterations: length T of the transition.
        initial: initial value a.
        final: final value b, reached at T.

    Returns:
        Scalar float32 between ``initial`` and ``final``.

    Reference:
        Loshchilov, Hutter 2016, arXiv:1608.03983, equation 5 without restarts.
        Huang et al. 2024, arXiv:2501.05441 use it for the learning rate, the
        penalty weight and other settings.
    """
    way = jnp.minimum(1.0, iteration.astype(jnp.float32) / iterations)
    return final + (initial - final) / 2 * (1.0 + jnp.cos(jnp.pi * way))


def warmed_up_decay(iteration: Array, *, decay: float) -> Array:
    r"""Returns a decay of an exponential moving average that rises to a constant.

    .. math:: d_t = \min\left(d, \frac{1 + t}{10 + t}\right)

    Args:
        iteration: scalar int32 t, number of generator updates so far.
        decay: d, in [0, 1).

    Returns:
        Scalar float32. The average forgets the initial value within tens of
        iterations.
    """
    t = iteration.astype(jnp.float32)
    return jnp.minimum(decay, (1.0 + t) / (10.0 + t))


@checked
def half_life_decay(
    iteration: Array,
    *,
    half_life: Positive,
    batch_size: Count,
    rampup: Positive | None = None,
    initial: NotNegative | None = None,
    iterations: Count | None = None,
) -> Array:
    r"""Returns the decay of an average whose half-life is a number of images.

    .. math:: d_t = 2^{-B / h_t}, \quad
        h_t = \min(h, r\, B (t + 1)) \quad\text{or}\quad
        h_t = h + \frac{h_0 - h}{2}
        \left(1 + \cos\left(\pi \min(1, t / T)\right)\right)

    After :math:`h_t` images, a value has half of its weight in the average. The
    half-life does not depend on the batch size, unlike a decay per iteration.

    Args:
        iteration: scalar int32 t, number of generator updates so far.
        half_life: h, in generated images.
        batch_size: B, images per generator update.
        rampup: r, largest half-life as a fraction of the images so far; None
            for no limit. 0.05 in the paper.
        initial: :math:`h_0`, half-life at iteration 0, or None for a constant
            half-life. It cannot be combined with ``rampup``.
        iterations: T, length of the transition from ``initial``.

    Returns:
        Scalar float32 in [0, 1).

    Raises:
        ValueError: if a value is out of range, ``rampup`` and ``initial`` are
            both given, or only one of ``initial`` and ``iterations`` is.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, appendix C (``ema_rampup`` in the
        authors' code); Huang et al. 2024, arXiv:2501.05441, for the transition.
    """
    if (initial is None) != (iterations is None):
        raise ValueError(
            f"half_life_decay: initial is {initial} and iterations is {iterations}; "
            "set both or none of them."
        )
    life: Array = jnp.asarray(half_life, jnp.float32)
    if initial is not None:
        assert iterations is not None
        if rampup is not None:
            raise ValueError(
                f"half_life_decay: rampup is {rampup} and initial is {initial}; set at "
                "most one of them."
            )
        life = cosine(
            iteration, iterations=iterations, initial=initial, final=half_life
        )
    if rampup is not None:
        images = batch_size * (iteration.astype(jnp.float32) + 1.0)
        life = jnp.minimum(life, rampup * images)
    # A half-life of 0 is a decay of 0: the average is the latest value.
    return jnp.exp2(-batch_size / jnp.maximum(life, 1e-8))


LEARNING_RATE_SCHEDULES: dict[str, Callable[..., Array]] = {
    "constant": constant,
    "linear_decay": linear_decay,
    "cosine": cosine,
}
