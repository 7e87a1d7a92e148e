"""The samples that are compared, and the model that generated one of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wgan_jax.metrics import FeatureExtractor
from wgan_jax.types import Array, GenerateFn


class Sample(NamedTuple):
    """Examples and what an extractor says of them.

    Attributes:
        examples: uint8 ``[n, H, W, C]``, or floating points ``[n, D]``.
        values: features ``[n, D']``.
        logits: ``[n, classes]`` of an extractor that knows classes, or None.
    """

    examples: np.ndarray
    values: np.ndarray
    logits: np.ndarray | None


@dataclass(frozen=True, kw_only=True)
class Model:
    """generator and critic in evaluation mode, where a sample came from a run.

    Attributes:
        generate_fn: latents ``[B, Z]`` to examples.
        score_fn: examples as a dataset has them and their labels (or None) to
            scores ``[B]``.
        latent_size: Z.
    """

    generate_fn: GenerateFn
    score_fn: Callable[[np.ndarray, np.ndarray | None], Array]
    latent_size: int


class Circumstances(NamedTuple):
    """What a measure can know before anything is computed.

    Attributes:
        example_shape: of the data.
        extractor: of the features.
        has_model: whether the networks are at hand.
        has_held_out: whether there is a split that the critic does not see.
        has_modes: whether the data is a mixture with known modes.
    """

    example_shape: tuple[int, ...]
    extractor: FeatureExtractor
    has_model: bool
    has_held_out: bool
    has_modes: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All that a measure may look at.

    Attributes:
        real: the reference sample.
        fake: the generated one.
        extractor: of the features.
        split: of the reference, such as ``cifar10/train``.
        seed: of the measures' own draws.
        batch_size: examples at a time.
        modes: centres and standard deviation, if the data is a known mixture.
        fake_labels: int32 ``[n]`` that the fakes were made by, or None.
        model: of the fakes, or None for a file of examples.
        train: examples and labels that the critic was trained on, or None.
        train_split: their split, such as ``cifar10/train``.
        held_out: as many that it was not, or None.
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
