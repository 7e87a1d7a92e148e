"""Tests of results with their protocols, and of their comparison."""

import dataclasses

import jax.numpy as jnp
import pytest

from wgan_jax.metrics import (
    FunctionFeatures,
    Result,
    compare,
    describe,
    from_json,
    to_json,
)

EXTRACTOR = FunctionFeatures(jnp.asarray, name="pixels", weights="v1", size=4)
PROTOCOL = describe(
    EXTRACTOR,
    metric="kernel_distance",
    real_count=50,
    fake_count=40,
    split="digits/test",
    seed=3,
    subsets=10,
    subset_size=20,
)
RESULT = Result(0.125, PROTOCOL, deviation=0.01)
OTHERS = {
    "metric": "frechet_distance",
    "features": "inception",
    "weights": "v2",
    "input_size": 299,
    "resize": "bilinear",
    "quantisation": "uint8",
    "real_count": 49,
    "fake_count": 50,
    "split": "digits/train",
    "seed": 4,
    "options": (("subset_size", 30), ("subsets", 10)),
}


def test_result_round_trips_through_json():
    assert from_json(to_json(RESULT)) == RESULT
    assert '"subset_size": 20' in to_json(RESULT)
    assert "\n" not in to_json(RESULT)
    assert hash(PROTOCOL) == hash(from_json(to_json(RESULT)).protocol)


def test_results_with_equal_protocols_are_comparable():
    assert compare(RESULT, dataclasses.replace(RESULT, value=0.1)) == pytest.approx(
        0.025
    )
    turned = dataclasses.replace(PROTOCOL, options=PROTOCOL.options[::-1])
    assert compare(RESULT, Result(0.125, turned)) == 0


def test_every_field_is_compared():
    assert OTHERS.keys() == {f.name for f in dataclasses.fields(PROTOCOL)}


@pytest.mark.parametrize("name", OTHERS)
def test_different_protocol_error_names_the_field(name):
    other = Result(0.1, dataclasses.replace(PROTOCOL, **{name: OTHERS[name]}))
    shown = "option subset_size is 20 in one and 30" if name == "options" else name
    with pytest.raises(ValueError, match=f"cannot be compared: {shown}"):
        compare(RESULT, other)


def test_missing_option_is_a_difference():
    with pytest.raises(ValueError, match="option subset_size is 20 in one and None"):
        compare(RESULT, Result(0.1, dataclasses.replace(PROTOCOL, options=())))


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "3",
        "{}",
        to_json(RESULT).replace("real_count", "reals"),
        to_json(RESULT).replace('"value"', '"worth"'),
    ],
)
def test_invalid_json_is_rejected(text):
    with pytest.raises(ValueError, match="not a result with a protocol"):
        from_json(text)
