"""Evaluator: a reference dataset, a feature extractor and measures."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec, Sharding

from wgan_jax.data import Source
from wgan_jax.data.overlap import check_held_out
from wgan_jax.evaluation.measures import MEASURES
from wgan_jax.evaluation.reference import reference_sample
from wgan_jax.evaluation.sample import (
    Circumstances,
    Comparison,
    Measure,
    Measured,
    Model,
    Sample,
)
from wgan_jax.io.files import expanded
from wgan_jax.metrics import (
    Estimate,
    FeatureExtractor,
    Result,
    describe,
    extract_features,
)

Advance = Callable[[str, int, int], object]


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """Complete setup of an evaluation, apart from the generated examples.

    Attributes:
        source: reference dataset.
        count: number of reference examples to use.
        extractor: feature extractor.
        measures: measures by their keys in ``MEASURES``.
        seed: seed of the choice of examples and of the measures' own
            randomness.
        batch_size: examples per batch, a multiple of the number of local
            devices.
        train: dataset that the critic was trained on, or None.
        held_out: dataset that the critic was not trained on, or None.
        cache: folder for reference features, or None for no cache.
        memory: results shared by all evaluations.
    """

    source: Source
    count: int
    extractor: FeatureExtractor
    measures: dict[str, Measure]
    seed: int
    batch_size: int
    train: Source | None = None
    held_out: Source | None = None
    cache: Path | None = None
    memory: dict[str, Sample] = field(default_factory=dict, repr=False)

    @property
    def reports(self) -> dict[str, str]:
        """Names of the metrics, and whether ``lower`` or ``higher`` is better."""
        rows = self.measures.values()
        return {name: better for row in rows for name, better in row.reports.items()}

    def evaluate(
        self,
        fakes: np.ndarray,
        *,
        labels: np.ndarray | None = None,
        model: Model | None = None,
        advance: Advance | None = None,
    ) -> tuple[list[Result], Comparison]:
        """Evaluates generated examples.

        Args:
            fakes: uint8 ``[n, H, W, C]``, or floating-point points ``[n, D]``.
            labels: labels used to generate them, for a conditional critic.
            model: the networks that generated them, if available.
            advance: progress callback ``(description, done, total)``.

        Returns:
            The results of all measures whose requirements are met, and the
            comparison they were computed from.

        Raises:
            ValueError: if the examples do not match the reference dataset, or a
                result is not finite.
        """
        self._check(fakes)
        tell = advance or (lambda what, done, total: None)
        comparison = Comparison(
            real=self._reference(tell),
            fake=self._sample(fakes, tell),
            extractor=self.extractor,
            split=_split(self.source),
            seed=self.seed,
            batch_size=self.batch_size,
            modes=self.source.modes,
            fake_labels=labels,
            model=model,
            train=None if self.train is None else self._examples(self.train),
            held_out=None if self.held_out is None else self._examples(self.held_out),
            train_split=_split(self.train),
            held_out_split=_split(self.held_out),
        )
        results = []
        lacking = self.lacking(has_model=model is not None)
        able = {k: m for k, m in self.measures.items() if k not in lacking}
        for i, (name, measure) in enumerate(able.items()):
            tell(f"measure {name}", i, len(able))
            results += [
                self._result(comparison, measured)
                for measured in measure.function(comparison)
            ]
        tell("measures", len(able), len(able))
        return results, comparison

    def lacking(self, *, has_model: bool) -> dict[str, str]:
        """Returns what the measures without results would require, by measure.

        Args:
            has_model: whether the networks are available.
        """
        circumstances = Circumstances(
            example_shape=self.source.example_shape,
            extractor=self.extractor,
            has_model=has_model,
            has_held_out=self.held_out is not None and self.train is not None,
            has_modes=self.source.modes is not None,
        )
        found = {k: m.lacks(circumstances) for k, m in self.measures.items()}
        return {name: needed for name, needed in found.items() if needed}

    def _check(self, fakes: np.ndarray) -> None:
        expected = self.source.images
        kinds_differ = (fakes.dtype == np.uint8) != (expected.dtype == np.uint8)
        if fakes.shape[1:] != expected.shape[1:] or kinds_differ or len(fakes) < 2:
            raise ValueError(
                f"the examples to evaluate are {fakes.dtype}{list(fakes.shape)}; they "
                f"must be at least 2 of {expected.dtype}{list(expected.shape[1:])}, "
                f"like those of {self.source.name!r}."
            )

    def _examples(self, source: Source) -> tuple[np.ndarray, np.ndarray | None]:
        """Draws ``count`` examples of a source without replacement."""
        random = np.random.RandomState(self.seed)
        rows = random.permutation(len(source))[: self.count]
        labels = None if source.labels is None else source.labels[rows]
        return source.images[rows], labels

    def _reference(self, tell: Advance) -> Sample:
        if "reference" not in self.memory:
            examples, _ = self._examples(self.source)
            self.memory["reference"] = reference_sample(
                examples,
                self.extractor,
                batch_size=self.batch_size,
                sharding=_among_local_devices(),
                cache=self.cache,
                advance=_counter(tell, "reference features", len(examples)),
            )
        return self.memory["reference"]

    def _sample(self, fakes: np.ndarray, tell: Advance) -> Sample:
        features = extract_features(
            self.extractor,
            fakes,
            batch_size=self.batch_size,
            sharding=_among_local_devices(),
            advance=_counter(tell, "features", len(fakes)),
        )
        logits = None if features.logits is None else np.asarray(features.logits)
        return Sample(fakes, np.asarray(features.values), logits)

    def _result(self, comparison: Comparison, measured: Measured) -> Result:
        found = measured.value
        value = found.mean if isinstance(found, Estimate) else float(found)
        deviation = found.deviation if isinstance(found, Estimate) else None
        if not np.isfinite(value):
            raise ValueError(f"{measured.metric} is {value}, which is not finite.")
        counts = measured.counts or (
            len(comparison.real.values),
            len(comparison.fake.values),
        )
        protocol = describe(
            self.extractor,
            metric=measured.metric,
            real_count=counts[0],
            fake_count=counts[1],
            split=measured.split or comparison.split,
            seed=self.seed,
            **measured.options,
        )
        if measured.features:  # not computed from the extractor's features
            protocol = replace(
                protocol,
                features=measured.features,
                weights="none",
                input_size=None,
                resize="none",
            )
        return Result(value, protocol, deviation)


def make_evaluator(
    source: Source,
    extractor: FeatureExtractor,
    measures: Iterable[str],
    *,
    count: int,
    seed: int = 0,
    batch_size: int = 100,
    train: Source | None = None,
    held_out: Source | None = None,
    cache: Path | None = None,
) -> Evaluator:
    """Creates an evaluator and checks its arguments.

    Args:
        source: reference dataset.
        extractor: feature extractor.
        measures: keys of ``MEASURES``.
        count: number of reference examples; at most the size of the source is
            used.
        seed: seed of the choice of examples and of the measures' own
            randomness.
        batch_size: examples per batch; rounded up to a multiple of the number
            of local devices.
        train: dataset that the critic was trained on, for the held-out gap.
        held_out: split that the critic was not trained on. The reference dataset
            may overlap with either.
        cache: folder for reference features.

    Returns:
        The evaluator.

    Raises:
        ValueError: if a measure is unknown, a number is out of range, or
            ``held_out`` has examples of ``train``.
    """
    names = tuple(measures)
    unknown = [name for name in names if name not in MEASURES]
    if unknown or not names:
        raise ValueError(
            f"measures are {names}; each must be one of {', '.join(MEASURES)}."
        )
    if count < 10 or batch_size < 1:
        raise ValueError(
            f"count is {count} and batch_size is {batch_size}; they must be at least "
            "10 and at least 1."
        )
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; it must be in 0 to 2^32 - 1.")
    if train is not None and held_out is not None:
        check_held_out(train, held_out)
    devices = jax.local_device_count()
    return Evaluator(
        source=source,
        count=min(count, len(source)),
        extractor=extractor,
        measures={name: MEASURES[name] for name in names},
        seed=seed,
        batch_size=-(-batch_size // devices) * devices,
        train=train,
        held_out=held_out,
        cache=cache if cache is None else expanded(cache),
    )


def _split(source: Source | None) -> str:
    return "" if source is None else f"{source.name}/{source.split}"


def _among_local_devices() -> Sharding | None:
    devices = jax.local_devices()
    if len(devices) == 1:
        return None
    mesh = jax.sharding.Mesh(np.array(devices), ("examples",))
    return NamedSharding(mesh, PartitionSpec("examples"))


def _counter(tell: Advance, what: str, total: int) -> Callable[[int], None]:
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        tell(what, done, total)

    return advance
