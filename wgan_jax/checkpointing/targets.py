"""Shapes, dtypes and shardings to which a checkpoint is restored."""

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import (
    NamedSharding,
    PartitionSpec,
    Sharding,
    SingleDeviceSharding,
)

StateT = TypeVar("StateT")


def as_target(state: StateT, *, sharding: Sharding | None = None) -> StateT:
    """Returns the target for ``Checkpoints.restore`` from a state.

    Args:
        state: pytree of arrays or of ``jax.ShapeDtypeStruct``.
        sharding: sharding of every leaf. By default, each leaf keeps its own,
            and a leaf without one is placed on this process's first device.

    Returns:
        The same tree of ``jax.ShapeDtypeStruct``, each with a sharding.
    """

    def abstract(leaf: Any) -> jax.ShapeDtypeStruct:
        place = sharding or getattr(leaf, "sharding", None)
        place = place or SingleDeviceSharding(jax.local_devices()[0])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)

    return jax.tree.map(abstract, state)


def stored_as(
    inventory: Mapping[str, Any], like: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns the arrays of a manifest as shapes, dtypes and shardings.

    Args:
        inventory: manifest of the stored state.
        like: arrays by path with shardings, at least one. Stored arrays of the
            same path and shape have its shardings, and all others are
            replicated on its devices.
    """
    elsewhere: Any = next(iter(like.values())).sharding
    if isinstance(elsewhere, NamedSharding):
        elsewhere = NamedSharding(elsewhere.mesh, PartitionSpec())
    found = {}
    for path, stored in inventory["leaves"].items():
        shape, same = tuple(stored["shape"]), like.get(path)
        place = elsewhere
        if same is not None and same.shape == shape:
            place = same.sharding
        dtype = jnp.dtype(stored["dtype"])
        found[path] = jax.ShapeDtypeStruct(shape, dtype, sharding=place)
    return found
