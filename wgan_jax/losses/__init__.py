"""What the two players minimise, and what holds the critic's slope."""

from wgan_jax.losses.constraints import CONSTRAINTS, clip_weights
from wgan_jax.losses.objectives import (
    OBJECTIVES,
    Objective,
    wasserstein_critic_loss,
    wasserstein_estimate,
    wasserstein_generator_loss,
)
from wgan_jax.losses.penalties import (
    PENALTIES,
    example_norms,
    gradient_norms,
    gradient_penalty,
    gradient_penalty_and_norms,
    interpolate,
)

__all__ = [
    "CONSTRAINTS",
    "OBJECTIVES",
    "PENALTIES",
    "Objective",
    "clip_weights",
    "example_norms",
    "gradient_norms",
    "gradient_penalty",
    "gradient_penalty_and_norms",
    "interpolate",
    "wasserstein_critic_loss",
    "wasserstein_estimate",
    "wasserstein_generator_loss",
]
