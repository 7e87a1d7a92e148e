"""Evaluation protocol of a metric: everything that its value depends on."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from wgan_jax.io.json_text import parse_json
from wgan_jax.metrics.features import FeatureExtractor

Option = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class MetricProtocol:
    """Everything that affects a metric apart from the generator.

    Attributes:
        metric: name of the metric.
        features: name of the extractor.
        weights: hash or version of the extractor's parameters.
        input_size: side to which images were resized; None if they were not.
        resize: resizing method.
        quantisation: how images were converted to gray levels.
        real_count: number of real examples.
        fake_count: number of generated examples.
        split: split of the reference data, such as ``cifar10/train``.
        seed: seed of the metric's own randomness (subsets, shuffles,
            directions).
        options: options of the metric, as pairs sorted by name.
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
    """Value of a metric with its protocol.

    Attributes:
        value: value of the metric.
        protocol: protocol under which it was computed.
        deviation: standard deviation over the parts of the sample, for metrics
            that are computed on several parts.
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
    """Returns the protocol of a metric computed with an extractor.

    Args:
        extractor: feature extractor, which describes itself, its weights and
            its preprocessing.
        metric: name of the metric.
        real_count: number of real examples.
        fake_count: number of generated examples.
        split: split of the reference data.
        seed: seed of the metric's own randomness.
        **options: options of the metric, such as ``subset_size=1000``.

    Returns:
        The protocol.
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
    """Returns one line of JSON, which ``from_json`` reads.

    Args:
        result: a metric with its protocol.

    Returns:
        The line, with sorted keys.
    """
    fields: dict[str, Any] = dataclasses.asdict(result)
    fields["protocol"]["options"] = dict(result.protocol.options)
    return json.dumps(fields, sort_keys=True)


def from_json(text: str) -> Result:
    """Reads the output of ``to_json``.

    Args:
        text: JSON of one result.

    Returns:
        The result.

    Raises:
        ValueError: if the text is not valid JSON, or a field is missing or
            unknown.
    """
    try:
        fields = parse_json(text)
        protocol = fields["protocol"]
        protocol["options"] = tuple(protocol["options"].items())
        return Result(**{**fields, "protocol": MetricProtocol(**protocol)})
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"this is not a result with a protocol: {error}") from error


def compare(first: Result, second: Result) -> float:
    """Returns the difference of two values, if their protocols are equal.

    Args:
        first: a result.
        second: another result.

    Returns:
        ``first.value - second.value``.

    Raises:
        ValueError: if the protocols differ; the message names the differences.
    """
    differences = [
        f"{name} is {mine!r} in one and {theirs!r} in the other"
        for name, mine, theirs in _fields(first.protocol, second.protocol)
        if mine != theirs
    ]
    if differences:
        raise ValueError(
            f"these two results cannot be compared: {'; '.join(differences)}."
        )
    return first.value - second.value


def _fields(
    first: MetricProtocol, second: MetricProtocol
) -> list[tuple[str, Any, Any]]:
    """Returns fields and options of both by name; missing ones are None."""
    rows = [dict(dataclasses.asdict(p)) for p in (first, second)]
    for row in rows:
        row |= {f"option {name}": value for name, value in row.pop("options")}
    names = list(dict.fromkeys([*rows[0], *rows[1]]))
    return [(name, rows[0].get(name), rows[1].get(name)) for name in names]
