"""Several iterations in one call, for networks so small that calls are what costs."""

from typing import Any

import jax

from wgan_jax.gan import Gan, GanState
from wgan_jax.steps import train_step
from wgan_jax.types import Array, Batch, Metrics, PRNGKey


def train_steps(
    gan: Gan, state: GanState, batches: Batch | Array, key: PRNGKey
) -> tuple[GanState, Metrics]:
    """K iterations: K calls of ``train_step``, traced once.

    Args:
        gan: the static parts.
        state: a run's arrays.
        batches: ``{"image": [K, N, B, ...], "label": [K, N, B]}`` or the images
            alone: for each iteration what ``train_step`` takes.
        key: the run's key, the same for all iterations.

    Returns:
        The state after the last iteration, and the metrics of each, ``[K]`` by name.

    Raises:
        ValueError: as ``train_step``.
    """

    def one(state: GanState, batch: Any) -> tuple[GanState, Metrics]:
        return train_step(gan, state, batch, key)

    return jax.lax.scan(one, state, batches)
