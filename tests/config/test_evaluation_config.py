"""Tests of building evaluators from ``config.evaluation``."""

import ml_collections
import pytest

from configs import cifar10_wgan_gp, digits_wgan_gp, gaussians_wgan_gp
from wgan_jax.config.evaluation import build_evaluator
from wgan_jax.data import Source, load_source
from wgan_jax.errors import ConfigError, choices
from wgan_jax.evaluation import EXTRACTORS, MEASURES

DIGITS = load_source("digits")


@pytest.fixture
def config():
    return digits_wgan_gp.get_config()


def test_evaluator_has_the_parts_of_the_config(config):
    config.evaluation.count = 700
    config.evaluation.seed = 3
    evaluator = build_evaluator(config, DIGITS)
    assert evaluator.source is DIGITS
    assert evaluator.train is DIGITS
    assert (evaluator.held_out.split, len(evaluator.held_out)) == ("test", 297)
    assert (evaluator.count, evaluator.seed, evaluator.batch_size) == (700, 3, 100)
    assert list(evaluator.measures) == list(config.evaluation.measures)
    assert evaluator.extractor.name == "pixels"
    config.evaluation.count = 5_000
    assert build_evaluator(config, DIGITS).count == 1_500  # all examples of the split


def test_reference_split_can_differ_without_held_out(config):
    config.evaluation.split = "test"
    config.evaluation.held_out = None
    evaluator = build_evaluator(config, DIGITS)
    assert evaluator.source.split == "test"
    assert evaluator.train is DIGITS
    assert evaluator.held_out is None


def test_default_measures_are_all_measures(config):
    config.evaluation.measures = None
    assert set(build_evaluator(config, DIGITS).measures) == set(MEASURES)


def test_cifar10_config_uses_lite0_features():
    config = cifar10_wgan_gp.get_config()
    config.evaluation.held_out = None
    source = Source(
        name="cifar10",
        split="train",
        images=DIGITS.images.repeat(4, 1).repeat(4, 2).repeat(3, 3),
    )
    evaluator = build_evaluator(config, source)
    assert evaluator.extractor.name == "efficientnet-lite0/pool"
    assert evaluator.extractor.input_size == 96
    assert set(evaluator.measures) == set(MEASURES)


MISTAKES = [
    ("count", 0, "config.evaluation.count is 0"),
    ("count", 5, "count is 5"),
    ("batch_size", 0, "config.evaluation.batch_size is 0"),
    ("every", -1, "config.evaluation.every is -1"),
    ("measures", ("frechet", "fid"), f"'fid' is not known; {choices(MEASURES)}"),
    ("measures", (), f"measures is empty; {choices(MEASURES)}"),
    ("split", "dev", "config.evaluation.split: the split 'dev'"),
    ("held_out", "dev", "config.evaluation.held_out: the split 'dev'"),
    ("best_by", "fid", "best_by is 'fid'"),
    ("best_by", "inception_score", "best_by is 'inception_score'"),
    (
        "best_by",
        "coverage",
        "best_by is 'coverage'; it must be a measured",
    ),
    ("held_out", "train", "which is the training split"),
    ("held_out", "train[1400:]", "held_out: the held-out split 'train[1400:]' has 100"),
    ("held_out", "test+train[:1]", "1 of them are in the training split 'train'"),
    ("seed", -1, "seed is -1"),
    ("measures", ("inception_score",), "needs features with class logits"),
    ("features", {"name": "vgg"}, choices(EXTRACTORS)),
    ("features", {}, "config.evaluation.features is missing"),
    ("features", {"name": "pixels", "tap": 64}, "features.tap is not read by"),
    ("features", {"name": "inception", "tap": 65}, "tap is 65; it must be one of 64,"),
    ("features", {"name": "inception", "path": "x"}, "'x' does not exist"),
    ("features", {"name": "lite0", "input_size": 8}, "input_size is 8"),
    ("features", {"name": "lite0", "path": "x"}, "'x'"),
]


@pytest.mark.parametrize(("field", "value", "sentence"), MISTAKES)
def test_invalid_fields_are_rejected(config, field, value, sentence):
    with config.unlocked():
        if field == "features":
            value = ml_collections.ConfigDict(value)
        if value == ("inception_score",):
            config.evaluation.best_by = None
        if value == "coverage":
            config.evaluation.measures = ("frechet", "inception_score")
        config.evaluation[field] = value
    with pytest.raises(ConfigError) as caught:
        build_evaluator(config, DIGITS)
    assert sentence in str(caught.value)


def test_image_features_are_rejected_for_points():
    config = gaussians_wgan_gp.get_config()
    points = load_source("gaussians8", size=100)
    assert build_evaluator(config, points).extractor.name == "coordinates"
    for name in ("lite0", "inception"):
        config.evaluation.features.name = name
        with pytest.raises(ConfigError, match="Use pixels"):
            build_evaluator(config, points)


def test_missing_group_error_names_an_example(config):
    with config.unlocked():
        del config.evaluation
    with pytest.raises(ConfigError, match=r"config\.evaluation is missing"):
        build_evaluator(config, DIGITS)
