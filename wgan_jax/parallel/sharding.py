"""The device mesh, and shardings of batches and training state.

A compiled step computes on global arrays. Its batch means, batch statistics
and penalties are those of the whole batch by construction, and its random
numbers are the same for any number of devices, because they are drawn as if
there were one. A single device is a mesh of one.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.tree_util import GetAttrKey

from wgan_jax.types import Array, PRNGKey, PyTree

DATA_AXIS = "data"
PLACEMENTS: dict[str, tuple[str, ...]] = {
    # Name -> the fields whose arrays are divided; all others are on each device.
    "replicated": (),
    "zero1": ("opt_state", "ema_params"),
}
_DIVIDED_FROM = 1024  # elements; a smaller array costs a message and saves nothing


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """All devices in a row, along the axis ``data``.

    Args:
        devices: in order; all devices of all processes by default.

    Returns:
        A mesh whose axis is placed by the compiler (``AxisType.Auto``).
    """
    devices = jax.devices() if devices is None else devices
    return Mesh(np.asarray(devices), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """The placing of a full copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def sharded(mesh: Mesh, shape: tuple[int, ...]) -> NamedSharding:
    """The placing of an array in equal parts, one a device.

    Args:
        mesh: the devices.
        shape: of the array; its largest dimension that divides among the devices
            is split, the first one of two as large.

    Returns:
        The placing: a full copy on each device if the array has fewer than 1,024
        elements, or no such dimension.
    """
    sizes = [0 if size % mesh.size else size for size in shape]
    if math.prod(shape) < _DIVIDED_FROM or not any(sizes):
        return replicated(mesh)
    axis = sizes.index(max(sizes))
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, DATA_AXIS))


def place_state(mesh: Mesh, state: PyTree, *, placement: str) -> PyTree:
    """Where each array of a state goes.

    A placement names fields. An array belongs to a field if the field is on the
    way to it, at any depth: ``state.critic.opt_state[0].mu["conv"]`` belongs to
    ``opt_state``. An entry of a dictionary is no field, whatever its name.

    Args:
        mesh: the devices.
        state: pytree of anything with a ``shape``; nothing is computed.
        placement: a name in ``PLACEMENTS``.

    Returns:
        The same tree of placings.

    Raises:
        ValueError: if there is no such placement.
    """
    fields = set(sharded_fields(placement))

    def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        names = {key.name for key in path if isinstance(key, GetAttrKey)}
        return sharded(mesh, leaf.shape) if names & fields else replicated(mesh)

    return jax.tree_util.tree_map_with_path(place, state)


def sharded_fields(placement: str) -> tuple[str, ...]:
    """The fields of a state that a placement divides among the devices.

    Args:
        placement: a name in ``PLACEMENTS``.

    Returns:
        Their names.

    Raises:
        ValueError: if there is no such placement.
    """
    if placement not in PLACEMENTS:
        raise ValueError(
            f"placement {placement!r} is not known; choices: {', '.join(PLACEMENTS)}."
        )
    return PLACEMENTS[placement]


def gather(arrays: PyTree) -> PyTree:
    """Arrays that are divided among devices, whole on each of these.

    Args:
        arrays: pytree. All processes whose devices hold a part call this together.

    Returns:
        The same tree; itself if nothing in it is divided.
    """
    placings = [
        leaf.sharding
        for leaf in jax.tree.leaves(arrays)
        if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer)
    ]
    for placing in placings:
        if isinstance(placing, NamedSharding) and not placing.is_fully_replicated:
            everywhere = NamedSharding(placing.mesh, PartitionSpec())
            return jax.jit(_same, out_shardings=everywhere)(arrays)
    return arrays


def batch_sharding(mesh: Mesh, *, axis: int = 1) -> NamedSharding:
    """The placing of batches: B divided among the devices.

    Args:
        mesh: the devices.
        axis: of B: 1 in ``[N, B, ...]``, 2 in ``[K, N, B, ...]``.

    Returns:
        The placing.
    """
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, DATA_AXIS))


def check_divisible(mesh: Mesh, **batch_sizes: int) -> None:
    """Refuses a batch that the devices cannot share equally.

    Args:
        mesh: the devices.
        **batch_sizes: global batch sizes by the name that the user set.

    Raises:
        ValueError: naming the first one that does not divide.
    """
    for name, size in batch_sizes.items():
        if size % mesh.size:
            below = size - size % mesh.size
            choices = [n for n in (below, below + mesh.size) if n]
            raise ValueError(
                f"{name}={size} does not divide among {mesh.size} devices; "
                f"use {' or '.join(map(str, choices))}."
            )


def put_batches(mesh: Mesh, batches: PyTree, *, axis: int = 1) -> PyTree:
    """Host arrays to the devices.

    Args:
        mesh: the devices.
        batches: pytree of ``[N, B_local, ...]``: this process's rows of each
            batch, where process p holds block p.
        axis: of B, as for ``batch_sharding``.

    Returns:
        The same tree of global arrays ``[N, B, ...]``.
    """
    sharding = batch_sharding(mesh, axis=axis)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, x), batches
    )


def put_key(mesh: Mesh, seed: int) -> PRNGKey:
    """A run's key on each device.

    Args:
        mesh: the devices, of other processes too.
        seed: 0 or above, the same in all processes.

    Returns:
        A typed key.
    """
    # Computed where it is wanted: JAX does not put typed keys on devices of others.
    return jax.jit(lambda: jax.random.key(seed), out_shardings=replicated(mesh))()


def constrain_batch(x: Array) -> Array:
    """Asks for the first axis of ``x`` to be split where a mesh is in force.

    Random numbers drawn inside a step belong to no device. Without this each
    device would compute all of the batch that they stand for.

    Args:
        x: ``[B, ...]``.

    Returns:
        ``x``; outside ``with_mesh`` untouched.
    """
    if DATA_AXIS not in jax.sharding.get_abstract_mesh().axis_names:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(DATA_AXIS))


def constrain_replicated(arrays: PyTree) -> PyTree:
    """Asks for a full copy on each device where a mesh is in force.

    What an optimizer makes of its divided state is divided, too. Without this the
    compiler leaves parameters so, and each layer collects its own several times.

    Args:
        arrays: pytree.

    Returns:
        The same tree; outside ``with_mesh`` untouched.
    """
    if DATA_AXIS not in jax.sharding.get_abstract_mesh().axis_names:
        return arrays
    return jax.lax.with_sharding_constraint(arrays, PartitionSpec())


def with_mesh(mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function so that the two ``constrain_*`` take effect on the mesh."""

    def placed(*args: Any, **kwargs: Any) -> Any:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **kwargs)

    return placed


def _same(arrays: PyTree) -> PyTree:
    return arrays
