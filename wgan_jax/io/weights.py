"""Weights of a network in a safetensors file, one array per named parameter."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from wgan_jax.errors import ArchiveError
from wgan_jax.io.files import atomic_write
from wgan_jax.types import PyTree


def save_weights(
    path: str | os.PathLike[str],
    variables: Mapping[str, PyTree],
    *,
    metadata: Mapping[str, Any],
    dtype: Any = np.float32,
) -> None:
    """Writes the variables of a network atomically.

    Args:
        path: path of the file, by convention ``.safetensors``.
        variables: nested dicts of arrays, such as ``{"params": ...,
            "batch_stats": ...}``. The name of an array joins its keys by dots,
            as in ``params.conv_0.kernel``.
        metadata: JSON values, stored in the header of the file.
        dtype: floating-point arrays are converted to this dtype.

    Raises:
        ValueError: if a key contains a dot.
        OSError: if the file cannot be written.
    """
    arrays = {}
    for name, value in _named(variables):
        array = np.asarray(value)
        if np.issubdtype(array.dtype, np.floating):
            array = array.astype(dtype)
        arrays[name] = np.ascontiguousarray(array)
    header = {name: json.dumps(value) for name, value in metadata.items()}
    with atomic_write(path) as stream:
        stream.write(save(arrays, metadata=header))


def load_weights(
    path: str | os.PathLike[str],
) -> tuple[dict[str, PyTree], dict[str, Any]]:
    """Reads the variables of a network.

    Args:
        path: file of ``save_weights``.

    Returns:
        The nested dicts, with floating-point arrays as float32, and the
        metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        ArchiveError: if the file is damaged or not of this format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist.")
    variables: dict[str, PyTree] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = {k: json.loads(v) for k, v in (file.metadata() or {}).items()}
            for name in file.keys():  # noqa: SIM118, not a mapping
                *above, last = name.split(".")
                group = variables
                for part in above:
                    group = group.setdefault(part, {})
                array = file.get_tensor(name)
                floating = np.issubdtype(array.dtype, np.floating)
                group[last] = array.astype(np.float32) if floating else array
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise ArchiveError(f"{path} is not a file of weights: {error}") from error
    return variables, metadata


def _named(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for key, value in tree.items():
        if "." in key:
            raise ValueError(f"the key {key!r} contains a dot; names are joined by it.")
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found += _named(value, f"{name}.")
        else:
            found.append((name, value))
    return found
