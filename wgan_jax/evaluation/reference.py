"""On-disk cache of reference features, keyed by everything that determines them."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Sharding

from wgan_jax.errors import ArchiveError
from wgan_jax.evaluation.sample import Sample
from wgan_jax.io.caches import read_arrays
from wgan_jax.io.files import atomic_write
from wgan_jax.metrics import FeatureExtractor, extract_features

_LOGGER = logging.getLogger(__name__)
_FORMAT = 1  # version of the file; other versions are recomputed


def reference_sample(
    examples: np.ndarray,
    extractor: FeatureExtractor,
    *,
    batch_size: int,
    sharding: Sharding | None = None,
    cache: Path | None = None,
    advance: Callable[[int], object] | None = None,
) -> Sample:
    """Returns features of a dataset's examples, from the cache or computed.

    A cached file is used only if it records the same examples (by SHA-256),
    extractor, weights, resizing and quantization. A damaged or different file
    is overwritten. If the file cannot be written, a warning is logged.

    Args:
        examples: uint8 ``[n, H, W, C]`` or points ``[n, D]``.
        extractor: feature extractor.
        batch_size: examples per batch.
        sharding: sharding of a batch over devices; None for no sharding.
        cache: folder of the files; None for no cache.
        advance: called with the number of examples as they are processed.

    Returns:
        The sample.
    """
    protocol = _protocol(examples, extractor)
    path = None
    if cache is not None:
        digest = hashlib.sha256(protocol.encode()).hexdigest()[:16]
        path = cache / f"{extractor.name.replace('/', '-')}-{digest}.npz"
        found = _read(path, protocol, len(examples))
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


def _read(path: Path, protocol: str, count: int) -> dict[str, np.ndarray] | None:
    try:
        arrays = read_arrays(path)
    except (OSError, ArchiveError):
        return None  # missing or damaged; recomputing takes about a minute
    fits = str(arrays.pop("protocol", "")) == protocol and "values" in arrays
    return arrays if fits and len(arrays["values"]) == count else None


def _write(path: Path, protocol: str, arrays: dict[str, np.ndarray]) -> None:
    try:
        with atomic_write(path) as file:
            np.savez(file, protocol=np.array(protocol), **arrays)  # type: ignore[arg-type]
    except OSError as error:
        _LOGGER.warning(
            "The reference features cannot be cached in %s (%s), so each evaluation "
            "computes them again.",
            path.parent,
            error.strerror,
        )
