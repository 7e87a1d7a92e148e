"""Wasserstein GANs and their baselines in JAX and Flax, as pure functions.

The names below are public and stable. Importing them loads no dataset,
checkpoint or plotting library.
"""

from typing import TYPE_CHECKING, Any

from wgan_jax.conditioning import Conditional
from wgan_jax.config.build import build_gan
from wgan_jax.gan import Gan, GanState, PlayerState
from wgan_jax.latents import latents
from wgan_jax.losses import (
    CONSTRAINTS,
    PENALTIES,
    REGULARIZERS,
    Objective,
    Regularizer,
    clip_weights,
    gradient_norms,
    gradient_penalty,
    path_length,
    wasserstein_critic_loss,
    wasserstein_estimate,
    wasserstein_generator_loss,
)
from wgan_jax.losses.objectives import OBJECTIVES
from wgan_jax.losses.terms import Term
from wgan_jax.parallel.sharding import make_mesh, put_batches
from wgan_jax.sampling import sample
from wgan_jax.schedules import CriticSchedule
from wgan_jax.training.compiled import (
    make_critic_step,
    make_generator_step,
    make_train_step,
    make_train_steps,
)
from wgan_jax.training.gradients import Pairs
from wgan_jax.training.init import abstract_state, init_state
from wgan_jax.training.replicas import init_replicas, make_replicas_step, replica
from wgan_jax.training.steps import (
    critic_step,
    critic_update,
    generator_step,
    train_step,
    train_steps,
)

if TYPE_CHECKING:
    from wgan_jax.program.runs import Run, load_run

__version__ = "0.2.0"

__all__ = [
    "CONSTRAINTS",
    "OBJECTIVES",
    "PENALTIES",
    "REGULARIZERS",
    "Conditional",
    "CriticSchedule",
    "Gan",
    "GanState",
    "Objective",
    "Pairs",
    "PlayerState",
    "Regularizer",
    "Run",
    "Term",
    "abstract_state",
    "build_gan",
    "clip_weights",
    "critic_step",
    "critic_update",
    "generator_step",
    "gradient_norms",
    "gradient_penalty",
    "init_replicas",
    "init_state",
    "latents",
    "load_run",
    "make_critic_step",
    "make_generator_step",
    "make_mesh",
    "make_replicas_step",
    "make_train_step",
    "make_train_steps",
    "path_length",
    "put_batches",
    "replica",
    "sample",
    "train_step",
    "train_steps",
    "wasserstein_critic_loss",
    "wasserstein_estimate",
    "wasserstein_generator_loss",
]


def __getattr__(name: str) -> Any:
    """Imports what reads checkpoints when it is first used."""
    if name not in ("Run", "load_run"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wgan_jax.program import runs

    return getattr(runs, name)
