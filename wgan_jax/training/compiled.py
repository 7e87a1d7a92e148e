"""Training steps, jit-compiled for a device mesh."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, SingleDeviceSharding
from jax.stages import Wrapped

from wgan_jax.gan import Gan, GanState
from wgan_jax.parallel.sharding import (
    batch_sharding,
    constrain_batch,
    make_mesh,
    replicated,
    sharded_fields,
    with_mesh,
)
from wgan_jax.training.arguments import check_is_gan, check_is_state
from wgan_jax.training.compilation import compiler_options
from wgan_jax.training.init import abstract_state
from wgan_jax.training.inputs import CheckedStep
from wgan_jax.training.steps import critic_step, generator_step, train_step, train_steps
from wgan_jax.types import Array, Batch, PRNGKey


class PlacedStep:
    """A jitted step that puts the first state on the mesh.

    The type of an array on a mesh has the mesh. A state of ``init_state`` without a
    mesh would therefore have another type than that of the next iteration, and the
    step would be compiled twice.
    """

    def __init__(self, step: Wrapped, placing: Any) -> None:
        """Stores a jitted ``step(state, ...)`` and the shardings of its state."""
        self._step, self._placing = step, placing

    def __call__(self, state: GanState, *others: Any) -> Any:
        """Calls the step.

        Raises:
            ValueError: if the state is of another kind, or was donated.
        """
        check_is_state(state)
        found = getattr(getattr(state, "step", None), "sharding", None)
        if isinstance(found, SingleDeviceSharding):
            state = jax.device_put(state, self._placing)
        return self._step(state, *others)

    def __getattr__(self, name: str) -> Any:
        """Returns an attribute of the jitted step, such as ``lower``."""
        return getattr(self._step, name)


def make_train_step(
    gan: Gan,
    mesh: Mesh | None = None,
    *,
    placement: str = "replicated",
    donate: bool = True,
    check_values: bool = True,
) -> CheckedStep | PlacedStep:
    """Compiles ``train_step`` for a mesh.

    Args:
        gan: static definition of the GAN.
        mesh: devices over which each batch is split; None for the default
            device.
        placement: placement of the state, as for ``init_state``.
        donate: reuse the memory of the old state for the new one. The old state
            can then no longer be used.
        check_values: check the values of the first batch, outside of the
            compiled function: images in [-1, 1], labels of the classes, no NaN.

    Returns:
        ``step(state, batch, key) -> (state, metrics)``, a jitted function. It
        is compiled once for each N.

    Raises:
        ValueError: if the placement is unknown. The function raises ValueError
            for batches that do not fit the networks.
    """

    def step(state: GanState, batch: Batch | Array, key: PRNGKey) -> Any:
        return train_step(gan, state, batch, key)

    compiled = _compiled(
        step, gan, mesh, placement, donate, lambda m: (batch_sharding(m), replicated(m))
    )
    return CheckedStep(compiled, gan, axes=2) if check_values else compiled


def make_train_steps(
    gan: Gan,
    mesh: Mesh | None = None,
    *,
    placement: str = "replicated",
    donate: bool = True,
    check_values: bool = True,
) -> CheckedStep | PlacedStep:
    """Compiles ``train_steps`` for a mesh.

    Args:
        gan: static definition of the GAN.
        mesh: as for ``make_train_step``.
        placement: as for ``make_train_step``.
        donate: as for ``make_train_step``.
        check_values: as for ``make_train_step``.

    Returns:
        ``steps(state, batches, key) -> (state, metrics)``, with batches and
        metrics as for ``train_steps`` and each batch sharded over the devices.
        It is compiled once for each K and N.
    """

    def steps(state: GanState, batches: Batch | Array, key: PRNGKey) -> Any:
        return train_steps(gan, state, batches, key)

    compiled = _compiled(
        steps,
        gan,
        mesh,
        placement,
        donate,
        lambda m: (batch_sharding(m, axis=2), replicated(m)),
    )
    return CheckedStep(compiled, gan, axes=3) if check_values else compiled


def make_critic_step(
    gan: Gan,
    mesh: Mesh | None = None,
    *,
    placement: str = "replicated",
    donate: bool = True,
    check_values: bool = True,
) -> CheckedStep | PlacedStep:
    """Compiles ``critic_step`` for a mesh.

    Args:
        gan: static definition of the GAN.
        mesh: as for ``make_train_step``.
        placement: as for ``make_train_step``.
        donate: as for ``make_train_step``.
        check_values: as for ``make_train_step``.

    Returns:
        ``step(state, batch, key) -> (state, metrics)``, with the batch as for
        ``critic_step``.
    """

    def step(state: GanState, batch: Batch | Array, key: PRNGKey) -> Any:
        return critic_step(gan, state, jax.tree.map(constrain_batch, batch), key)

    compiled = _compiled(
        step, gan, mesh, placement, donate, lambda m: (None, replicated(m))
    )
    return CheckedStep(compiled, gan, axes=1) if check_values else compiled


def make_generator_step(
    gan: Gan,
    mesh: Mesh | None = None,
    *,
    batch_size: int,
    placement: str = "replicated",
    donate: bool = True,
) -> PlacedStep:
    """Compiles ``generator_step`` for a mesh.

    Args:
        gan: static definition of the GAN.
        mesh: as for ``make_train_step``.
        batch_size: number of latents to draw.
        placement: as for ``make_train_step``.
        donate: as for ``make_train_step``.

    Returns:
        ``step(state, key) -> (state, metrics)``. For a paired objective,
        ``step(state, key, real)`` with real examples as for ``critic_step``.
    """
    check_is_gan(gan)
    if not gan.objective.paired:

        def step(state: GanState, key: PRNGKey) -> Any:
            return generator_step(gan, state, key, batch_size=batch_size)

        return _compiled(step, gan, mesh, placement, donate, lambda m: (replicated(m),))

    def paired_step(state: GanState, key: PRNGKey, real: Batch | Array) -> Any:
        real = jax.tree.map(constrain_batch, real)
        return generator_step(gan, state, key, batch_size=batch_size, real=real)

    return _compiled(
        paired_step, gan, mesh, placement, donate, lambda m: (replicated(m), None)
    )


def _placings(gan: Gan, mesh: Mesh, placement: str) -> Any:
    """Returns the shardings of a state, or a single one if it applies to all arrays."""
    if not sharded_fields(placement):
        return replicated(mesh)
    target = abstract_state(gan, mesh, placement=placement)
    return jax.tree.map(lambda x: x.sharding, target)


def _compiled(
    step: Callable[..., Any],
    gan: Gan,
    mesh: Mesh | None,
    placement: str,
    donate: bool,
    inputs: Callable[[Mesh], tuple[Any, ...]],
) -> PlacedStep:
    """Compiles a step for a mesh; ``inputs`` returns the shardings of its inputs."""
    check_is_gan(gan)
    mesh = mesh or make_mesh(jax.devices()[:1])
    state = _placings(gan, mesh, placement)
    compiled = jax.jit(
        with_mesh(mesh, step),
        in_shardings=(state, *inputs(mesh)),
        out_shardings=(state, replicated(mesh)),
        donate_argnums=0 if donate else (),
        compiler_options=compiler_options(mesh.devices.flat[0].platform),
    )
    return PlacedStep(compiled, state)
