"""Reads weights from PyTorch and numpy files, without PyTorch and without pickle.

A ``.pth`` file is a pickle, which can execute arbitrary code. This reader
accepts only tensors and ordered dictionaries, and rejects everything else
without executing it.
"""

import collections
import hashlib
import io
import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from wgan_jax.io.files import expanded

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


class _Tensor(NamedTuple):
    """Description of a tensor whose data has not been read yet."""

    storage: str
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads arrays by name.

    Args:
        path: ``.npz`` file, or ``.pth`` file of a state dict in either of
            PyTorch's two formats. If the name ends in a dash and hexadecimal
            digits, as in PyTorch's hub, its SHA-256 must begin with them.

    Returns:
        All arrays of the file by name.

    Raises:
        ValueError: if the file has another format, is damaged, or contains
            anything other than tensors.
    """
    path = expanded(path)
    content = path.read_bytes()
    claimed = re.search(r"-([0-9a-f]{8,64})\.pth$", path.name)
    if claimed and not hashlib.sha256(content).hexdigest().startswith(claimed[1]):
        raise ValueError(
            f"{path} is damaged: its SHA-256 must begin with {claimed[1]}, as in its "
            "name. Download it again."
        )
    file = io.BytesIO(content)
    if path.suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    try:
        if zipfile.is_zipfile(file):
            state, storages = _read_zip(file)
        else:
            file.seek(0)
            state, storages = _read_legacy(file)
    except (pickle.UnpicklingError, EOFError, KeyError) as error:
        raise ValueError(f"{path} is not a PyTorch state dict: {error}") from error
    if not isinstance(state, dict) or not all(
        isinstance(tensor, _Tensor) for tensor in state.values()
    ):
        raise ValueError(
            f"{path} contains other objects than tensors by name; it must be a state "
            "dict."
        )
    return {name: _array(tensor, storages) for name, tensor in state.items()}


def hash_state_dict(state: Mapping[str, np.ndarray]) -> str:
    """Returns a hash of weights that does not depend on the file format.

    Args:
        state: arrays by name, in any order.

    Returns:
        The first 16 hexadecimal digits of a SHA-256 over names, dtypes, shapes
        and values.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


class _Unpickler(pickle.Unpickler):
    """Unpickler that creates only ordered dictionaries and tensor descriptions."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self._describe
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(
            f"it refers to {module}.{name}, which is not allowed in weights."
        )

    def persistent_load(self, pid: tuple[Any, ...]) -> tuple[str, str]:
        self.dtypes[pid[2]] = _DTYPES[pid[1]]
        return pid[2], _DTYPES[pid[1]]

    def _describe(
        self,
        storage: tuple[str, str],
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *_: Any,
    ) -> _Tensor:
        return _Tensor(*storage, offset, shape, strides)


def _read_zip(file: BinaryIO) -> tuple[Any, dict[str, np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        (index,) = (n for n in archive.namelist() if n.endswith("/data.pkl"))
        unpickler = _Unpickler(io.BytesIO(archive.read(index)))
        state = unpickler.load()
        folder = index.removesuffix(".pkl")
        return state, {
            key: np.frombuffer(archive.read(f"{folder}/{key}"), dtype)
            for key, dtype in unpickler.dtypes.items()
        }


def _read_legacy(file: BinaryIO) -> tuple[Any, dict[str, np.ndarray]]:
    """Reads the format before version 1.6: five pickles, followed by the storages."""
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise pickle.UnpicklingError("it does not begin with the header of one.")
    _Unpickler(file).load()  # format version
    _Unpickler(file).load()  # sizes of types on the machine that wrote the file
    unpickler = _Unpickler(file)
    state = unpickler.load()
    storages = {}
    for key in _Unpickler(file).load():
        dtype = np.dtype(unpickler.dtypes[key])
        count = int.from_bytes(file.read(8), "little")
        storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return state, storages


def _array(tensor: _Tensor, storages: Mapping[str, np.ndarray]) -> np.ndarray:
    storage = storages[tensor.storage]
    steps = [(n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True)]
    # as_strided does not check bounds, and the file is not trusted.
    last = tensor.offset + sum(steps)
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, tensor.dtype)
    if min([tensor.offset, *tensor.shape, *tensor.strides]) < 0 or last >= len(storage):
        raise ValueError("a tensor in the file extends beyond its storage.")
    return np.lib.stride_tricks.as_strided(
        storage[tensor.offset :],
        tensor.shape,
        [stride * storage.itemsize for stride in tensor.strides],
    ).copy()
