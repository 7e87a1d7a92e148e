"""Tests of what a Wasserstein critic's gap is called, by what bounds its gradient."""

import pytest

from configs import digits_wgan_gp
from wgan_jax.config.bounds import estimates_a_distance
from wgan_jax.config.build import build_objective
from wgan_jax.config.loading import apply_overrides
from wgan_jax.config.resolve import resolve

NO_PENALTY = ("penalty", "None")


@pytest.mark.parametrize(
    ("overrides", "bounded"),
    [
        ([], True),
        ([NO_PENALTY], False),
        ([NO_PENALTY, ("critic.parametrization", "weight_norm")], False),
        ([NO_PENALTY, ("critic.parametrization", "spectral")], True),
        ([NO_PENALTY, ("constraint.name", "project_spectral")], True),
        ([("penalty.name", "drift")], False),
        ([("penalty.name", "r1")], True),
        ([NO_PENALTY, ("critic.name", "r3gan")], False),
    ],
)
def test_the_gap_is_an_estimate_only_if_the_gradient_is_bounded(overrides, bounded):
    # AttentionGAN #27
    config = digits_wgan_gp.get_config()
    apply_overrides(config, overrides)
    assert estimates_a_distance(resolve(config)) == bounded
    name = "critic/wasserstein_estimate" if bounded else "critic/score_gap"
    assert build_objective(config).gap_name == name
