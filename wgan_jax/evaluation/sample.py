"""The samples being compared, their model, and the types of a measure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wgan_jax.metrics import Estimate, FeatureExtractor
from wgan_jax.metrics.protocol import Option
from wgan_jax.types import Array, GenerateFn


class Sample(NamedTuple):
    """Examples and their features.

    Attributes:
        examples: uint8 ``[n, H, W, C]``, or floating-point points ``[n, D]``.
        values: features ``[n, D']``.
        logits: ``[n, classes]``, or None if the extractor has no classes.
    """

    examples: np.ndarray
    values: np.ndarray
    logits: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """Generator and critic in evaluation mode, for a sample that comes from a run.

    Attributes:
        generate_fn: maps latents ``[B, Z]`` to examples.
        score_fn: maps examples of a dataset and their labels (or None) to
            scores ``[B]``.
        latent_size: Z.
        prior: distribution of the latents, a key of ``latents.PRIORS``.
    """

    generate_fn: GenerateFn
    score_fn: Callable[[np.ndarray, np.ndarray | None], Array]
    latent_size: int
    prior: str = "normal"


class Circumstances(NamedTuple):
    """What is known to a measure before anything is computed.

    Attributes:
        example_shape: shape of one example.
        extractor: feature extractor.
        has_model: whether the networks are available.
        has_held_out: whether there is a split that the critic was not trained
            on.
        has_modes: whether the data is a mixture with known modes.
    """

    example_shape: tuple[int, ...]
    extractor: FeatureExtractor
    has_model: bool
    has_held_out: bool
    has_modes: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All inputs of a measure.

    Attributes:
        real: reference sample.
        fake: generated sample.
        extractor: feature extractor.
        split: split of the reference, such as ``cifar10/train``.
        seed: seed of the measures' own randomness.
        batch_size: examples per batch.
        modes: centers and standard deviation, if the data is a known mixture.
        fake_labels: int32 ``[n]`` labels used to generate the fakes, or None.
        model: networks that generated the fakes, or None for a file of
            examples.
        train: examples and labels that the critic was trained on, or None.
        train_split: their split, such as ``cifar10/train``.
        held_out: examples and labels that the critic was not trained on, or
            None.
        held_out_split: their split, such as ``cifar10/test``.
    """

    real: Sample
    fake: Sample
    extractor: FeatureExtractor
    split: str
    seed: int
    batch_size: int
    modes: tuple[np.ndarray, float] | None = None
    fake_labels: np.ndarray | None = None
    model: Model | None = None
    train: tuple[np.ndarray, np.ndarray | None] | None = None
    held_out: tuple[np.ndarray, np.ndarray | None] | None = None
    train_split: str = ""
    held_out_split: str = ""


class Measured(NamedTuple):
    """One metric reported by a measure.

    Attributes:
        metric: name of the metric.
        value: its value, with a deviation if it was computed on several parts.
        options: further options to include in the protocol.
        features: what it was computed from, if not the extractor's features.
        counts: numbers of real and generated examples, if not all were used.
        split: split of the real examples, if not that of the reference.
    """

    metric: str
    value: float | Estimate
    options: Mapping[str, Option] = {}
    features: str = ""
    counts: tuple[int, int] | None = None
    split: str = ""


class Measure(NamedTuple):
    """An entry of the table ``MEASURES``.

    Attributes:
        function: computes metrics from a comparison.
        reports: names of the metrics, each with ``"lower"`` or ``"higher"`` for
            the better direction, or ``""`` if there is none.
        lacks: returns the missing requirement, or an empty string.
    """

    function: Callable[[Comparison], Iterable[Measured]]
    reports: Mapping[str, str]
    lacks: Callable[[Circumstances], str] = lambda c: ""
