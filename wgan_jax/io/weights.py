"""Weights of a network in a safetensors file, one array per named parameter."""

import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from wgan_jax.errors import ArchiveError
from wgan_jax.io.files import atomic_write, expanded
from wgan_jax.io.json_text import parse_json
from wgan_jax.types import PyTree


def save_weights(
    path: str | os.PathLike[str],
    variables: PyTree,
    *,
    metadata: Mapping[str, Any],
    dtype: Any = np.float32,
) -> None:
    """Writes the variables of a network atomically.

    Args:
        path: path of the file, by convention ``.safetensors``.
        variables: tree of arrays, such as ``{"params": ..., "batch_stats":
            ...}``. The name of an array joins its keys by dots, as in
            ``params.conv_0.kernel``.
        metadata: JSON values, stored in the header of the file.
        dtype: floating-point arrays are converted to this dtype.

    Raises:
        ValueError: if a key contains a dot.
        OSError: if the file cannot be written.
    """
    arrays = {}
    for name, value in flatten(variables).items():
        array = np.asarray(value)
        if np.issubdtype(array.dtype, np.floating):
            array = array.astype(dtype)
        # Not ascontiguousarray, which makes a vector of a scalar.
        arrays[name] = np.asarray(array, order="C")
    header = {name: json.dumps(value) for name, value in metadata.items()}
    with atomic_write(path) as stream:
        stream.write(save(arrays, metadata=header))


def load_weights(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the variables of a network.

    Args:
        path: file of ``save_weights``.

    Returns:
        The arrays by name, floating-point ones as float32, and the metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        ArchiveError: if the file is damaged or not of this format.
    """
    path = expanded(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist.")
    arrays: dict[str, np.ndarray] = {}
    try:
        # Of float64 values that float32 cannot hold, no infinity is made.
        with safe_open(path, framework="numpy") as file, np.errstate(over="raise"):
            metadata = {k: parse_json(v) for k, v in (file.metadata() or {}).items()}
            for name in file.keys():  # noqa: SIM118, not a mapping
                array = file.get_tensor(name)
                floating = np.issubdtype(array.dtype, np.floating)
                arrays[name] = array.astype(np.float32) if floating else array
            return arrays, metadata
    except (
        SafetensorError,
        ValueError,
        TypeError,
        AttributeError,
        FloatingPointError,
    ) as error:
        raise ArchiveError(f"{path} is not a file of weights: {error}") from error


def flatten(variables: PyTree) -> dict[str, Any]:
    """Returns the arrays of a tree by name.

    Args:
        variables: tree of arrays, such as nested dicts. A name joins the keys by
            dots.

    Raises:
        ValueError: if a key contains a dot.
    """
    found = {}
    for path, array in jax.tree_util.tree_leaves_with_path(variables):
        keys = [jax.tree_util.keystr((part,), simple=True) for part in path]
        for key in keys:
            if "." in key:
                raise ValueError(
                    f"the key {key!r} contains a dot; names are joined by it."
                )
        found[".".join(keys)] = array
    return found


def unflatten(arrays: Mapping[str, Any], like: PyTree) -> PyTree:
    """Returns a tree of arrays, the inverse of ``flatten``.

    Args:
        arrays: arrays by name.
        like: tree of arrays, or of their shapes and dtypes.

    Raises:
        ValueError: if a name is missing or unknown, or a shape differs.
    """
    known = flatten(like)
    for name, leaf in known.items():
        if name not in arrays:
            raise ValueError(f"the weight {name} is missing.")
        if tuple(arrays[name].shape) != tuple(leaf.shape):
            raise ValueError(
                f"the weight {name} has the shape {list(arrays[name].shape)}; it must "
                f"be {list(leaf.shape)}."
            )
    left = [name for name in arrays if name not in known]
    if left:
        raise ValueError(f"the weight {left[0]} is unknown.")
    structure = jax.tree.structure(like)
    return jax.tree.unflatten(structure, [arrays[name] for name in known])
