"""Device mesh, and shardings of batches and training state.

A compiled step operates on global arrays. Batch means, batch statistics and
penalties are therefore those of the whole batch, and random numbers do not
depend on the number of devices. A single device is a mesh of size one.
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
    # Name -> fields whose arrays are sharded; all other arrays are replicated.
    "replicated": (),
    "zero1": ("opt_state", "ema_params"),
}
_DIVIDED_FROM = 1024  # elements; sharding a smaller array costs more than it saves


def make_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Returns a one-dimensional mesh of all devices, with the axis ``data``.

    Args:
        devices: devices in order; by default, all devices of all processes.

    Returns:
        A mesh whose axis is sharded by the compiler (``AxisType.Auto``).

    Raises:
        ValueError: if ``devices`` is no sequence of devices, or empty.
    """
    devices = jax.devices() if devices is None else devices
    kept = np.asarray(devices, dtype=object)
    if kept.ndim != 1 or not all(isinstance(d, jax.Device) for d in kept):
        raise ValueError(
            f"devices is {devices!r}; it must be a sequence of devices, such as "
            "jax.devices()[:2]."
        )
    if not kept.size:
        raise ValueError("devices is empty; there must be at least one.")
    return Mesh(np.asarray(devices), (DATA_AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of a full copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def sharded(mesh: Mesh, shape: tuple[int, ...]) -> NamedSharding:
    """Returns the sharding of an array in equal parts, one per device.

    Args:
        mesh: device mesh.
        shape: shape of the array. It is split along the largest axis that is
            divisible by the number of devices, the first one if there are
            several.

    Returns:
        The sharding. The array is replicated if it has fewer than 1,024
        elements or no divisible axis.
    """
    sizes = [0 if size % mesh.size else size for size in shape]
    if math.prod(shape) < _DIVIDED_FROM or not any(sizes):
        return replicated(mesh)
    axis = sizes.index(max(sizes))
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, DATA_AXIS))


def place_state(mesh: Mesh, state: PyTree, *, placement: str) -> PyTree:
    """Returns the sharding of each array of a state.

    A placement names fields. An array belongs to a field if its path contains
    the field at any depth: ``state.critic.opt_state[0].mu["conv"]`` belongs to
    ``opt_state``. Dictionary keys are not fields, whatever their name.

    Args:
        mesh: device mesh.
        state: pytree of objects with a ``shape``; nothing is computed.
        placement: a key of ``PLACEMENTS``.

    Returns:
        The same tree of shardings.

    Raises:
        ValueError: if the placement is unknown.
    """
    fields = set(sharded_fields(placement))

    def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        names = {key.name for key in path if isinstance(key, GetAttrKey)}
        return sharded(mesh, leaf.shape) if names & fields else replicated(mesh)

    return jax.tree_util.tree_map_with_path(place, state)


def sharded_fields(placement: str) -> tuple[str, ...]:
    """Returns the fields of a state that a placement shards over the devices.

    Args:
        placement: a key of ``PLACEMENTS``.

    Returns:
        The names of the fields.

    Raises:
        ValueError: if the placement is unknown.
    """
    if placement not in PLACEMENTS:
        raise ValueError(
            f"placement {placement!r} is not known; choices: {', '.join(PLACEMENTS)}."
        )
    return PLACEMENTS[placement]


def gather(arrays: PyTree) -> PyTree:
    """Replicates sharded arrays on each of their devices.

    Args:
        arrays: pytree. All processes whose devices hold a part must make this
            call.

    Returns:
        The same tree; ``arrays`` itself if nothing is sharded.
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
    """Returns the sharding of batches along the batch axis B.

    Args:
        mesh: device mesh.
        axis: position of B: 1 in ``[N, B, ...]``, 2 in ``[K, N, B, ...]``.

    Returns:
        The sharding.
    """
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, DATA_AXIS))


def check_divisible(mesh: Mesh, **batch_sizes: int) -> None:
    """Raises an error if a batch size is not divisible by the number of devices.

    Args:
        mesh: device mesh.
        **batch_sizes: global batch sizes by the name of their setting.

    Raises:
        ValueError: naming the first batch size that is not divisible.
    """
    for name, size in batch_sizes.items():
        if size % mesh.size:
            below = size - size % mesh.size
            choices = [n for n in (below, below + mesh.size) if n]
            raise ValueError(
                f"{name} is {size}, which is not divisible by {mesh.size} devices. Use "
                f"{' or '.join(map(str, choices))}."
            )


def put_batches(mesh: Mesh, batches: PyTree, *, axis: int = 1) -> PyTree:
    """Puts batches from the host on the devices.

    Args:
        mesh: device mesh.
        batches: pytree of ``[N, B_local, ...]``, the rows of this process;
            process p holds the p-th block of each batch.
        axis: position of B, as for ``batch_sharding``.

    Returns:
        The same tree of global arrays ``[N, B, ...]``.
    """
    sharding = batch_sharding(mesh, axis=axis)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, x), batches
    )


def put_key(mesh: Mesh, seed: int) -> PRNGKey:
    """Creates the PRNG key of a run on each device.

    Args:
        mesh: device mesh, which may span several processes.
        seed: 0 or above, the same in all processes.

    Returns:
        A typed PRNG key.
    """
    # Computed on the devices, because JAX cannot put typed keys on remote devices.
    return jax.jit(lambda: jax.random.key(seed), out_shardings=replicated(mesh))()


def constrain_batch(x: Array) -> Array:
    """Constrains the first axis of ``x`` to be sharded if a mesh is active.

    Random numbers drawn inside a step have no sharding. Without this
    constraint, each device would compute the whole batch derived from them.

    Args:
        x: ``[B, ...]``.

    Returns:
        ``x``; unchanged outside ``with_mesh``.
    """
    if DATA_AXIS not in jax.sharding.get_abstract_mesh().axis_names:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(DATA_AXIS))


def constrain_replicated(arrays: PyTree) -> PyTree:
    """Constrains arrays to be replicated if a mesh is active.

    An optimizer with sharded state produces sharded updates. Without this
    constraint, the compiler keeps the parameters sharded, and each layer
    gathers its own several times.

    Args:
        arrays: pytree.

    Returns:
        The same tree; unchanged outside ``with_mesh``.
    """
    if DATA_AXIS not in jax.sharding.get_abstract_mesh().axis_names:
        return arrays
    return jax.lax.with_sharding_constraint(arrays, PartitionSpec())


def with_mesh(mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function so that the ``constrain_*`` functions apply to the mesh."""

    def placed(*args: Any, **kwargs: Any) -> Any:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **kwargs)

    return placed


def _same(arrays: PyTree) -> PyTree:
    return arrays
