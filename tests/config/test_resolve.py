"""Tests of validating a config into a frozen experiment."""

import json

import ml_collections
import numpy as np
import pydantic
import pytest

from configs import cifar10_r3gan_small, digits_wgan_gp
from wgan_jax.config.differences import differences
from wgan_jax.config.experiment import as_json, value_of, with_value
from wgan_jax.config.fields import describe
from wgan_jax.config.loading import load_config, shipped_configs
from wgan_jax.config.resolve import field_kind, resolve
from wgan_jax.errors import ConfigError


@pytest.mark.parametrize("name", shipped_configs())
def test_experiment_round_trips_through_json(name):
    experiment = resolve(load_config(shipped_configs()[name]))
    written = json.loads(json.dumps(as_json(experiment)))
    again = resolve(ml_collections.ConfigDict(written))
    assert again == experiment
    assert hash(again) == hash(experiment)
    assert as_json(again) == written


def test_experiment_is_immutable():
    experiment = resolve(digits_wgan_gp.get_config())
    for part in (experiment, experiment.training, experiment.penalty):
        name = next(iter(type(part).model_fields))
        with pytest.raises(pydantic.ValidationError, match="frozen"):
            setattr(part, name, 3)
    assert resolve(experiment) is experiment


def test_defaults_of_options_are_included():
    penalty = resolve(digits_wgan_gp.get_config()).penalty
    assert penalty.options == {"target": 1.0, "one_sided": False}
    assert (penalty.weight, penalty.every, penalty.final_weight) == (10.0, 1, None)
    assert type(resolve(cifar10_r3gan_small.get_config()).dataset.flip) is bool


def test_float_fields_accept_whole_numbers():
    config = digits_wgan_gp.get_config()
    config.penalty.weight = 3
    assert type(resolve(config).penalty.weight) is float


def test_numpy_numbers_are_accepted():
    config = digits_wgan_gp.get_config().to_dict()
    config["training"]["n_critic"] = np.int64(3)
    config["penalty"]["weight"] = np.float32(0.5)
    experiment = resolve(config)
    assert type(experiment.training.n_critic) is int
    assert (experiment.training.n_critic, experiment.penalty.weight) == (3, 0.5)


def test_value_of_and_with_value():
    experiment = resolve(cifar10_r3gan_small.get_config())
    assert value_of(experiment, "penalties.r1.weight") == 0.05
    changed = with_value(experiment, "penalties.r1.weight", 1.0)
    assert value_of(changed, "penalties.r1.weight") == 1.0
    assert value_of(changed, "penalties.r2.weight") == 0.05
    assert value_of(experiment, "penalties.r1.weight") == 0.05
    for name in ("penalties.r3.weight", "penalties.r1.wait", "seed.x", "x"):
        with pytest.raises(KeyError, match=name):
            value_of(experiment, name)


def test_absent_field_equals_its_default():
    old = digits_wgan_gp.get_config().to_dict()
    new = as_json(resolve(old))
    assert differences(old, new) == differences(new, old) == []
    new["penalty"]["one_sided"] = True
    new["critic"]["batch_norm"] = True
    assert differences(old, new) == [
        "critic.batch_norm: False -> True",
        "penalty.one_sided: False -> True",
    ]
    new["made_up"] = 3  # of another version, so that defaults are not filled in
    assert "made_up: absent -> 3" in differences(old, new)


def test_field_kind_returns_the_type():
    config = digits_wgan_gp.get_config()
    kinds = {
        "seed": int,
        "training.boosted_first": int,
        "training.ema_decay": float,
        "training.placement": str,
        "penalty.target": float,
        "penalty.one_sided": bool,
        "evaluation.measures": tuple,
        "optimizer.critic.b1": float,
        "penalties.a.weight": float,
        "penalty": None,
        "penalty.made_up": None,
        "made_up.x": None,
    }
    assert {name: field_kind(config, name) for name in kinds} == kinds


def test_every_field_has_a_description():
    from wgan_jax.config.experiment import ExperimentConfig
    from wgan_jax.config.fields import group_of

    for name, field in ExperimentConfig.model_fields.items():
        group = group_of(field)
        if group is None:
            assert field.description, name
            continue
        for inner, about in group.model_fields.items():
            if group_of(about) is None:
                assert about.description, f"{name}.{inner}"
                assert describe(about) != "another value", f"{name}.{inner}"


def test_invalid_configs_are_rejected():
    with pytest.raises(ConfigError, match=r"config\.training is 3; it must be a group"):
        resolve({"training": 3})
    with pytest.raises(ConfigError, match=r"config\.penalties is 3; it must be groups"):
        resolve({"penalties": 3})
    with pytest.raises(ConfigError, match=r"config\.optimizer\.critic\.name is 3"):
        config = digits_wgan_gp.get_config().to_dict()
        config["optimizer"]["critic"] = {"name": 3}
        resolve(config)
