"""The manifest of a checkpoint: path, shape, dtype and CRC32 of each leaf.

Orbax casts a leaf of another dtype without a word and restores a flipped bit
as a value. With an inventory beside the arrays both are found.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from wgan_jax.types import Array, PyTree


def flatten(state: PyTree) -> dict[str, Any]:
    """Leaves by path, such as ``.critic.params['conv']['kernel']``, in order."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def make_manifest(
    meta: Mapping[str, Any], leaves: Mapping[str, Array]
) -> dict[str, Any]:
    """The inventory of a state, with a checksum of itself.

    Args:
        meta: what the caller wants kept; anything JSON can hold.
        leaves: arrays by path. All processes call this together.

    Returns:
        A JSON object: ``meta``; ``leaves``, each with ``shape``, ``dtype`` and
        ``crc32``; and ``crc32`` of the whole.

    Raises:
        ValueError: JSON cannot hold the meta.
    """
    described = {
        path: {
            "shape": list(leaf.shape),
            "dtype": str(leaf.dtype),
            "crc32": crc32(leaf),
        }
        for path, leaf in leaves.items()
    }
    try:
        # There and back, so that the sum is of what a reader will see.
        inventory = json.loads(json.dumps({"meta": dict(meta), "leaves": described}))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the meta cannot be written as JSON ({error}); use numbers, strings, "
            "lists and dicts."
        ) from error
    return inventory | {"crc32": _crc32_of_json(inventory)}


def is_intact(inventory: Mapping[str, Any]) -> bool:
    """Whether nothing has changed since ``make_manifest``."""
    rest = {key: value for key, value in inventory.items() if key != "crc32"}
    return inventory.get("crc32") == _crc32_of_json(rest)


def crc32(leaf: Array) -> int:
    """Of the whole array's bytes in row order, wherever its parts are.

    Args:
        leaf: any shape and dtype. All processes call this together.

    Returns:
        The same number on every process and for every placing.
    """
    if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        leaf = multihost_utils.process_allgather(leaf, tiled=True)
    values = np.ascontiguousarray(leaf).reshape(-1)
    # As bytes, because the buffer protocol knows no bfloat16.
    return zlib.crc32(values.view(np.uint8).data)


def first_difference(
    inventory: Mapping[str, Any], wanted: Mapping[str, jax.ShapeDtypeStruct]
) -> str:
    """Where a stored state and the one asked for first differ.

    Args:
        inventory: of the stored one.
        wanted: leaves by path, in order.

    Returns:
        The path, and both dtypes and shapes; empty if they are alike.
    """
    stored = {
        path: f"{leaf['dtype']}{leaf['shape']}"
        for path, leaf in inventory["leaves"].items()
    }
    asked = {path: f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in wanted.items()}
    for path in [*asked, *stored]:
        left, right = stored.get(path, "absent"), asked.get(path, "absent")
        if left != right:
            return f"{path} is {left} in the checkpoint and {right} in the state"
    return ""


def _crc32_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())
