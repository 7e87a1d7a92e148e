"""Losses of the generator and the critic, and Lipschitz constraints."""

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
from wgan_jax.losses.constraints import (
    CONSTRAINTS,
    clip_weights,
    largest_singular_value,
    project_orthonormal,
    project_spectral,
)
from wgan_jax.losses.gradients import (
    example_gradients,
    example_norms,
    gradient_norms,
    interpolate,
    perturb,
)
from wgan_jax.losses.objectives import (
    OBJECTIVES,
    Objective,
    wasserstein_critic_loss,
    wasserstein_estimate,
    wasserstein_generator_loss,
)
from wgan_jax.losses.penalties import (
    PENALTIES,
    divergence,
    dragan,
    gradient_penalty,
    gradient_penalty_and_norms,
    r1,
    r2,
)
from wgan_jax.losses.regularizers import (
    REGULARIZERS,
    Regularizer,
    path_length,
    path_lengths,
)
from wgan_jax.losses.scores import consistency, drift

__all__ = [
    "CONSTRAINTS",
    "OBJECTIVES",
    "PENALTIES",
    "REGULARIZERS",
    "Objective",
    "Regularizer",
    "clip_weights",
    "consistency",
    "cross_entropy_critic_loss",
    "divergence",
    "dragan",
    "drift",
    "example_gradients",
    "example_norms",
    "gradient_norms",
    "gradient_penalty",
    "gradient_penalty_and_norms",
    "hinge_critic_loss",
    "interpolate",
    "largest_singular_value",
    "least_squares_critic_loss",
    "least_squares_generator_loss",
    "maximum_likelihood_generator_loss",
    "minimax_generator_loss",
    "non_saturating_generator_loss",
    "path_length",
    "path_lengths",
    "perturb",
    "project_orthonormal",
    "project_spectral",
    "r1",
    "r2",
    "relativistic_critic_loss",
    "relativistic_generator_loss",
    "wasserstein_critic_loss",
    "wasserstein_estimate",
    "wasserstein_generator_loss",
]
