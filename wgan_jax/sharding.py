"""One mesh axis, ``data``: state replicated, batches split, means global.

A compiled step computes on global arrays. Its batch means, batch statistics
and penalties are those of the whole batch by construction, and its random
numbers are the same for any number of devices, because they are drawn as if
there were one. A single device is a mesh of one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from wgan_jax.types import Array, PyTree

DATA_AXIS = "data"


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
    """The placing of state: a full copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def split_batches(mesh: Mesh, *, axis: int = 1) -> NamedSharding:
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
        axis: of B, as for ``split_batches``.

    Returns:
        The same tree of global arrays ``[N, B, ...]``.
    """
    sharding = split_batches(mesh, axis=axis)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, x), batches
    )


def spread(x: Array) -> Array:
    """Asks for the first axis of ``x`` to be split where a mesh is in force.

    Random numbers drawn inside a step belong to no device. Without this each
    device would compute all of the batch that they stand for.

    Args:
        x: ``[B, ...]``.

    Returns:
        ``x``; outside ``within`` untouched.
    """
    if DATA_AXIS not in jax.sharding.get_abstract_mesh().axis_names:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(DATA_AXIS))


def within(mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, traced so that ``spread`` takes effect on this mesh."""

    def placed(*args: Any, **kwargs: Any) -> Any:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **kwargs)

    return placed
