"""Objectives: pairs of critic and generator losses.

To add an objective, write its two losses, in a file of their own, and add it to
``OBJECTIVES`` at the end of this file. Library users can pass their own
``Objective`` to ``Gan``.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import chex
import jax.numpy as jnp

from wgan_jax.losses.adversarial import (
    cross_entropy_critic_loss,
    hinge_critic_loss,
    least_squares_critic_loss,
    least_squares_generator_loss,
    maximum_likelihood_generator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    relativistic_critic_loss,
    relativistic_generator_loss,
)
from wgan_jax.types import Array

# Metric names of the mean real score minus the mean fake score.
WASSERSTEIN_GAP, SCORE_GAP = "critic/wasserstein_estimate", "critic/score_gap"


class Objective(NamedTuple):
    """Pair of critic and generator losses, both to be minimized.

    Keyword-only arguments of a loss are options of the objective. A config sets
    them as ``config.objective.OPTION``, a library user by ``with_options``.

    Attributes:
        critic_loss: ``(real_scores [B], fake_scores [B']) -> scalar``.
        generator_loss: ``(fake_scores [B]) -> scalar``; if ``paired``,
            ``(real_scores [B], fake_scores [B]) -> scalar``.
        paired: the losses compare real example i with generated example i. The
            two batch sizes must match, and the generator loss uses real
            examples.
        gap_name: metric name of the mean real score minus the mean fake score.
            Only for the Wasserstein objective does this difference estimate a
            distance, and only if something bounds the gradient of the critic.
        signed: the sign of a score is a decision: positive for examples that
            the critic takes for real.
    """

    critic_loss: Callable[[Array, Array], Array]
    generator_loss: Callable[..., Array]
    paired: bool = False
    gap_name: str = SCORE_GAP
    signed: bool = False

    def options(self) -> dict[str, Any]:
        """Returns the options of the two losses and their defaults."""
        return {
            name: parameter.default
            for loss in (self.critic_loss, self.generator_loss)
            for name, parameter in inspect.signature(loss).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }

    def with_options(self, **options: Any) -> "Objective":
        """Returns the objective with some options of its losses set.

        Args:
            **options: options by name; each loss receives the ones it accepts.

        Raises:
            ValueError: if neither loss has an option.
        """
        unknown = sorted(options.keys() - self.options().keys())
        if unknown:
            known = ", ".join(sorted(self.options())) or "none"
            raise ValueError(
                f"the objective has no option {unknown[0]!r}; its options are: {known}."
            )

        def bound(loss: Callable[..., Array]) -> Callable[..., Array]:
            reads = inspect.signature(loss).parameters
            found = {name: v for name, v in options.items() if name in reads}
            return partial(loss, **found) if found else loss

        return self._replace(
            critic_loss=bound(self.critic_loss),
            generator_loss=bound(self.generator_loss),
        )


def wasserstein_critic_loss(real_scores: Array, fake_scores: Array) -> Array:
    r"""Computes the Wasserstein loss of the critic, minus the Wasserstein estimate.

    .. math:: L_C = \mathbb{E}_{\tilde x}[f(\tilde x)] - \mathbb{E}_x[f(x)]

    Args:
        real_scores: floating-point ``[B]``, critic scores of real examples.
        fake_scores: floating-point ``[B']``, critic scores of generated
            examples.

    Returns:
        Scalar in the dtype of the scores. It is minus the distance only if the
        critic is 1-Lipschitz, which a penalty, a constraint or the network must
        ensure.

    Raises:
        AssertionError: if the scores are not floating-point vectors.
        ValueError: if there are no scores.

    Reference:
        Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, equation 2 and
        algorithm 1, line 5 (maximized there, with the opposite sign).
    """
    return -wasserstein_estimate(real_scores, fake_scores)


def wasserstein_generator_loss(fake_scores: Array) -> Array:
    r"""Computes the Wasserstein loss of the generator.

    .. math:: L_G = -\mathbb{E}_z[f(G(z))]

    Args:
        fake_scores: floating-point ``[B]``, critic scores of generated
            examples.

    Returns:
        Scalar in the dtype of the scores. Only its gradient is meaningful,
        because the critic is determined only up to an additive constant.

    Raises:
        AssertionError: if the scores are not a floating-point vector.
        ValueError: if there are no scores.

    Reference:
        Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, algorithm 1, line 10.
    """
    chex.assert_rank(fake_scores, 1)
    chex.assert_type(fake_scores, float)
    _check_not_empty(fake_scores)
    return -jnp.mean(fake_scores)


def wasserstein_estimate(real_scores: Array, fake_scores: Array) -> Array:
    r"""Computes the critic's estimate of the Wasserstein distance.

    .. math:: \hat W = \mathbb{E}_x[f(x)] - \mathbb{E}_{\tilde x}[f(\tilde x)]

    Args:
        real_scores: floating-point ``[B]``, critic scores of real examples.
        fake_scores: floating-point ``[B']``, critic scores of generated
            examples.

    Returns:
        Scalar in the dtype of the scores, in units of the data times the
        critic's gradient norm. It contains no penalty.

    Raises:
        AssertionError: if the scores are not floating-point vectors.
        ValueError: if there are no scores.

    Reference:
        Arjovsky, Chintala, Bottou 2017, arXiv:1701.07875, equation 2.
    """
    chex.assert_rank([real_scores, fake_scores], 1)
    chex.assert_type([real_scores, fake_scores], float)
    _check_not_empty(real_scores, fake_scores)
    return jnp.mean(real_scores) - jnp.mean(fake_scores)


def _check_not_empty(*scores: Array) -> None:
    if any(0 in each.shape for each in scores):
        raise ValueError("the scores are empty; there must be at least one.")


OBJECTIVES: dict[str, Objective] = {
    "wasserstein": Objective(
        wasserstein_critic_loss,
        wasserstein_generator_loss,
        gap_name=WASSERSTEIN_GAP,
    ),
    "minimax": Objective(
        cross_entropy_critic_loss, minimax_generator_loss, signed=True
    ),
    "non_saturating": Objective(
        cross_entropy_critic_loss, non_saturating_generator_loss, signed=True
    ),
    "maximum_likelihood": Objective(
        cross_entropy_critic_loss, maximum_likelihood_generator_loss, signed=True
    ),
    "hinge": Objective(hinge_critic_loss, wasserstein_generator_loss, signed=True),
    "least_squares": Objective(least_squares_critic_loss, least_squares_generator_loss),
    "relativistic": Objective(
        relativistic_critic_loss, relativistic_generator_loss, paired=True
    ),
}
