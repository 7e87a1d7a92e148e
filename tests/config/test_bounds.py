"""Tests of what a Wasserstein critic's gap is called, by what bounds its gradient."""

from dataclasses import replace
from functools import partial

import pytest
from flax import linen as nn
from tiny import tiny_gan

from configs import digits_wgan_gp
from wgan_jax.config.build import build_gan
from wgan_jax.config.overrides import apply_overrides
from wgan_jax.losses import CONSTRAINTS, OBJECTIVES, PENALTIES, Objective
from wgan_jax.networks import CRITICS

NO_PENALTY = ("penalty", "None")
BOUNDED, UNBOUNDED = "critic/wasserstein_estimate", "critic/score_gap"


@pytest.mark.parametrize(
    ("overrides", "bounded"),
    [
        ([], True),
        ([NO_PENALTY], False),
        ([NO_PENALTY, ("critic.parametrization", "weight_norm")], False),
        ([NO_PENALTY, ("critic.parametrization", "spectral")], True),
        ([NO_PENALTY, ("constraint.name", "project_spectral")], True),
        ([("penalty.name", "drift")], False),
        ([("penalty.name", "drift"), ("penalties.more.name", "consistency")], False),
        ([("penalty.name", "drift"), ("penalties.more.name", "r1")], True),
        ([("penalty.name", "r1")], True),
        ([NO_PENALTY, ("critic.name", "r3gan")], False),
    ],
)
def test_the_gap_is_an_estimate_only_if_the_gradient_is_bounded(overrides, bounded):
    # AttentionGAN #27
    config = digits_wgan_gp.get_config()
    if "penalties.more.name" in dict(overrides):
        overrides = [*overrides, ("penalties.more.weight", "1.0")]
    apply_overrides(config, overrides)
    gan = build_gan(config, (8, 8, 1))
    assert gan.bounds_gradient == bounded
    assert gan.gap_name == (BOUNDED if bounded else UNBOUNDED)


class Own(nn.Module):
    """Critic that may bound its gradient in a way of its own."""

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(1)(images.reshape(images.shape[0], -1))[:, 0]


class OwnOfThePackage(CRITICS["mlp"]):
    """A subclass, which may have changed anything."""


def own_penalty(critic_fn, real, fake, key):
    return 0.0


MLP = CRITICS["mlp"]
NOTHING = {"critic": MLP(), "penalties": ()}


@pytest.mark.parametrize(
    ("parts", "bounded"),
    [
        (NOTHING, False),
        (NOTHING | {"critic": MLP(parametrization="weight_norm")}, False),
        (NOTHING | {"critic": MLP(parametrization="spectral")}, True),
        (NOTHING | {"critic": Own()}, True),
        (NOTHING | {"critic": OwnOfThePackage()}, True),
        (NOTHING | {"constraint": CONSTRAINTS["project_spectral"]}, True),
        (NOTHING | {"penalties": ((PENALTIES["drift"], 1.0),)}, False),
        (NOTHING | {"penalties": ((partial(PENALTIES["drift"]), 1.0),)}, False),
        (NOTHING | {"penalties": ((PENALTIES["gradient_penalty"], 1.0),)}, True),
        (NOTHING | {"penalties": ((partial(PENALTIES["r1"]), 1.0),)}, True),
        (NOTHING | {"penalties": ((own_penalty, 1.0),)}, True),
    ],
)
def test_a_gan_of_the_library_has_the_same_rule(parts, bounded):
    gan = tiny_gan(**parts)
    assert gan.bounds_gradient == bounded
    assert gan.gap_name == (BOUNDED if bounded else UNBOUNDED)


def test_names_of_other_objectives_stay():
    hinge = OBJECTIVES["hinge"]
    assert tiny_gan(**NOTHING, objective=hinge).gap_name == hinge.gap_name
    losses = OBJECTIVES["wasserstein"]
    own = Objective(losses.critic_loss, losses.generator_loss, gap_name="critic/own")
    assert tiny_gan(**NOTHING, objective=own).gap_name == "critic/own"


def test_the_name_follows_a_change_of_the_gan():
    gan = tiny_gan(**NOTHING)
    assert gan.objective == OBJECTIVES["wasserstein"]
    bounded = replace(gan, penalties=((PENALTIES["gradient_penalty"], 10.0),))
    assert bounded.gap_name == BOUNDED
    assert replace(bounded, penalties=()).gap_name == UNBOUNDED
