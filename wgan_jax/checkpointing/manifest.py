"""Manifest of a checkpoint: path, shape, dtype and CRC32 of each leaf.

Orbax silently casts leaves of another dtype, and restores flipped bits without
an error. The manifest detects both.
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
    """Returns leaves by path (``.critic.params['conv']['kernel']``), in order."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def make_manifest(
    meta: Mapping[str, Any], leaves: Mapping[str, Array]
) -> dict[str, Any]:
    """Creates the manifest of a state, including its own checksum.

    Args:
        meta: further data to store, serializable as JSON.
        leaves: arrays by path. All processes must make this call.

    Returns:
        A JSON object with ``meta``; ``leaves``, each with ``shape``, ``dtype``
        and ``crc32``; and ``crc32`` of the whole object.

    Raises:
        ValueError: if ``meta`` is not serializable as JSON.
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
        # Converted to JSON and back, so that the checksum is of what a reader gets.
        inventory = json.loads(json.dumps({"meta": dict(meta), "leaves": described}))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"meta cannot be written as JSON ({error}); it must consist of numbers, "
            "strings, lists and dicts."
        ) from error
    return inventory | {"crc32": _crc32_of_json(inventory)}


def is_intact(inventory: Mapping[str, Any]) -> bool:
    """Returns whether the manifest is unchanged since ``make_manifest``."""
    rest = {key: value for key, value in inventory.items() if key != "crc32"}
    return inventory.get("crc32") == _crc32_of_json(rest)


def crc32(leaf: Array) -> int:
    """Computes the checksum of the global array's bytes in row-major order.

    Args:
        leaf: array of any shape and dtype. All processes must make this call.

    Returns:
        The same number on every process and for every sharding.
    """
    if not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        leaf = multihost_utils.process_allgather(leaf, tiled=True)
    values = np.ascontiguousarray(leaf).reshape(-1)
    # Converted to bytes, because the buffer protocol does not support bfloat16.
    return zlib.crc32(values.view(np.uint8).data)


def first_difference(
    inventory: Mapping[str, Any], wanted: Mapping[str, jax.ShapeDtypeStruct]
) -> str:
    """Returns the first difference between a stored state and a target.

    Args:
        inventory: manifest of the stored state.
        wanted: leaves by path, in order.

    Returns:
        The path with both dtypes and shapes; empty if there is no difference.
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
