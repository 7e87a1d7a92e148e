"""The protocol of a number: everything that it depends on."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from wgan_jax.metrics.features import FeatureExtractor

Option = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class MetricProtocol:
    """Everything that moves a metric without a change of the generator.

    Attributes:
        metric: name of the number.
        features: name of the extractor.
        weights: hash or version of the extractor's parameters.
        input_size: side that images were resized to; None if they were not.
        resize: how they were resized.
        quantization: how images became gray levels.
        real_count: real examples.
        fake_count: generated examples.
        split: of the reference data, such as ``cifar10/train``.
        seed: of the metric's own draws (subsets, shuffles, directions).
        options: of the metric, as pairs sorted by name.
    """

    metric: str
    features: str
    weights: str
    input_size: int | None
    resize: str
    quantisation: str
    real_count: int
    fake_count: int
    split: str
    seed: int
    options: tuple[tuple[str, Option], ...] = ()

    def __post_init__(self) -> None:
        pairs = tuple(sorted((str(name), value) for name, value in self.options))
        object.__setattr__(self, "options", pairs)


@dataclass(frozen=True)
class Result:
    """A number with its protocol.

    Attributes:
        value: the number.
        protocol: how it was made.
        deviation: standard deviation over the parts of the sample, for the metrics
            that take it in parts.
    """

    value: float
    protocol: MetricProtocol
    deviation: float | None = None


def describe(
    extractor: FeatureExtractor,
    *,
    metric: str,
    real_count: int,
    fake_count: int,
    split: str,
    seed: int,
    **options: Option,
) -> MetricProtocol:
    """The protocol of a number that is made with an extractor.

    Args:
        extractor: of the features; names itself, its weights and what it does to
            images.
        metric: name of the number.
        real_count: real examples.
        fake_count: generated examples.
        split: of the reference data.
        seed: of the metric's own draws.
        **options: of the metric, such as ``subset_size=1000``.

    Returns:
        The record.
    """
    return MetricProtocol(
        metric=metric,
        features=extractor.name,
        weights=extractor.weights,
        input_size=extractor.input_size,
        resize=extractor.resize,
        quantisation=extractor.quantisation,
        real_count=real_count,
        fake_count=fake_count,
        split=split,
        seed=seed,
        options=tuple(options.items()),
    )


def to_json(result: Result) -> str:
    """One line of JSON, which ``from_json`` reads back."""
    fields: dict[str, Any] = dataclasses.asdict(result)
    fields["protocol"]["options"] = dict(result.protocol.options)
    return json.dumps(fields, sort_keys=True)


def from_json(text: str) -> Result:
    """Reads what ``to_json`` wrote.

    Args:
        text: JSON of one result.

    Returns:
        The same result.

    Raises:
        ValueError: if it is no JSON, or a field is missing or unknown.
    """
    try:
        fields = json.loads(text)
        protocol = fields["protocol"]
        protocol["options"] = tuple(protocol["options"].items())
        return Result(**{**fields, "protocol": MetricProtocol(**protocol)})
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"this is no result with its protocol: {error}") from error


def compare(first: Result, second: Result) -> float:
    """How much larger the first value is, if the two may be compared at all.

    Args:
        first: a number with its protocol.
        second: another.

    Returns:
        ``first.value - second.value``.

    Raises:
        ValueError: if anything of the two protocols differs; the sentence names it.
    """
    differences = [
        f"{name} is {mine!r} in one and {theirs!r} in the other"
        for name, mine, theirs in _fields(first.protocol, second.protocol)
        if mine != theirs
    ]
    if differences:
        raise ValueError(f"these two numbers do not compare: {'; '.join(differences)}.")
    return first.value - second.value


def _fields(
    first: MetricProtocol, second: MetricProtocol
) -> list[tuple[str, Any, Any]]:
    """Fields and options of both, by name; what one lacks is None."""
    rows = [dict(dataclasses.asdict(p)) for p in (first, second)]
    for row in rows:
        row |= {f"option {name}": value for name, value in row.pop("options")}
    names = list(dict.fromkeys([*rows[0], *rows[1]]))
    return [(name, rows[0].get(name), rows[1].get(name)) for name in names]
