"""Features of reference examples, kept on disk with all that made them."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Sharding

from wgan_jax.evaluation.sample import Sample
from wgan_jax.metrics import FeatureExtractor, extract_features

_FORMAT = 1  # of the file; another one is made anew


def reference_sample(
    examples: np.ndarray,
    extractor: FeatureExtractor,
    *,
    batch_size: int,
    sharding: Sharding | None = None,
    cache: Path | None = None,
    advance: Callable[[int], object] | None = None,
) -> Sample:
    """Features of a data set's examples: from the cache, or computed and kept.

    A file is used only if it names the same examples (by SHA-256), extractor,
    weights, resize and quantisation; one that is damaged or of something else is
    written anew.

    Args:
        examples: uint8 ``[n, H, W, C]`` or points ``[n, D]``.
        extractor: of the features.
        batch_size: examples at a time.
        sharding: of a batch, to share it among devices.
        cache: folder of the files; None keeps nothing.
        advance: told how many examples are done, as they are.

    Returns:
        The sample.
    """
    protocol = _protocol(examples, extractor)
    path = None
    if cache is not None:
        digest = hashlib.sha256(protocol.encode()).hexdigest()[:16]
        path = cache / f"{extractor.name.replace('/', '-')}-{digest}.npz"
        found = _read(path, protocol)
        if found is not None:
            if advance is not None:
                advance(len(examples))
            return Sample(examples, found["values"], found.get("logits"))
    features = extract_features(
        extractor,
        examples,
        batch_size=batch_size,
        sharding=sharding,
        advance=advance,
    )
    values = np.asarray(features.values)
    logits = None if features.logits is None else np.asarray(features.logits)
    if path is not None:
        arrays = {"values": values} | ({} if logits is None else {"logits": logits})
        _write(path, protocol, arrays)
    return Sample(examples, values, logits)


def _protocol(examples: np.ndarray, extractor: FeatureExtractor) -> str:
    record: dict[str, Any] = {
        "format": _FORMAT,
        "examples": hashlib.sha256(np.ascontiguousarray(examples).data).hexdigest(),
        "shape": list(examples.shape),
        "dtype": str(examples.dtype),
        "features": extractor.name,
        "weights": extractor.weights,
        "input_size": extractor.input_size,
        "resize": extractor.resize,
        "quantisation": extractor.quantisation,
    }
    return json.dumps(record, sort_keys=True)


def _read(path: Path, protocol: str) -> dict[str, np.ndarray] | None:
    try:
        # Opened here, because numpy leaves a file open that is no archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if str(file["protocol"]) != protocol:
                return None
            return {name: file[name] for name in file.files if name != "protocol"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent, torn or damaged: it costs a minute to make anew


def _write(path: Path, protocol: str, arrays: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two runs may write at once; each has a name of its own until it is whole.
    partial = path.with_name(f"{path.name}.{np.random.SeedSequence().entropy}.partial")
    with partial.open("wb") as file:
        np.savez(file, protocol=np.array(protocol), **arrays)  # type: ignore[arg-type]
    partial.replace(path)
