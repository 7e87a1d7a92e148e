"""Options of objectives: closed forms, and how a config and a library user set them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.config.build import build_gan, build_objective
from wgan_jax.config.loading import find_config, load_config
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.errors import ConfigError
from wgan_jax.losses import OBJECTIVES


def test_the_smoothed_cross_entropy_is_least_where_the_critic_says_so():
    objective = OBJECTIVES["non_saturating"].with_options(label_smoothing=0.1)
    # The best logit for real examples has sigmoid 1 - 0.1.
    best = jnp.log(jnp.array([0.9 / 0.1]))
    fake = jnp.array([0.3])
    gradient = jax.grad(objective.critic_loss)(best, fake)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    # -0.9 log 0.9 - 0.1 log 0.1, and log(1 + e^0.3) for the fake one.
    expected = -0.9 * np.log(0.9) - 0.1 * np.log(0.1) + np.log1p(np.exp(0.3))
    np.testing.assert_allclose(objective.critic_loss(best, fake), expected, rtol=1e-6)
    plain = OBJECTIVES["non_saturating"].critic_loss
    assert objective.with_options(label_smoothing=0.0).critic_loss(best, fake) == plain(
        best, fake
    )


def test_least_squares_takes_the_labels_of_its_paper():
    objective = OBJECTIVES["least_squares"].with_options(
        fake_label=-1.0, real_label=1.0, generator_label=0.0
    )
    real, fake = jnp.array([3.0, 1.0]), jnp.array([1.0, -2.0])
    assert objective.critic_loss(real, fake) == (4 / 2 + (4 + 1) / 2) / 2
    assert objective.generator_loss(fake) == (1 + 4) / 2 / 2


def test_options_are_those_of_either_loss():
    assert OBJECTIVES["least_squares"].options() == {
        "real_label": 1.0,
        "fake_label": 0.0,
        "generator_label": 1.0,
    }
    assert OBJECTIVES["wasserstein"].options() == {}
    with pytest.raises(ValueError, match=r"no option 'beta'; its options are: none"):
        OBJECTIVES["hinge"].with_options(gamma=2, beta=1)


@pytest.fixture
def config():
    found = load_config(find_config("digits_gan"))
    found.generator.width = found.critic.width = 8
    return found


def test_a_config_sets_an_option(config):
    apply_overrides(config, [("objective.label_smoothing", "0.25")])
    gan = build_gan(config, (8, 8, 1))
    zeros = jnp.zeros(4)
    ones = jnp.ones(4)
    found = gan.objective.critic_loss(ones, zeros)
    np.testing.assert_allclose(
        found, np.log1p(np.exp(-1)) + 0.25 + np.log(2), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([("objective.label_smoothing", "1.5")], "label_smoothing is 1.5; it must be"),
        (
            [("objective", "least_squares"), ("objective.label_smoothing", "0.5")],
            "label_smoothing is not read by 'least_squares'; choices: fake_label, ",
        ),
        (
            [("objective.name", "hing")],
            "objective.name 'hing' is not known; did you mean hinge",
        ),
        ([("objective", "hing")], "config.objective.name 'hing' is not"),
    ],
)
def test_mistakes_say_what_would_be_right(config, overrides, message):
    apply_overrides(config, overrides)
    with pytest.raises(ConfigError, match=message):
        build_objective(config)
