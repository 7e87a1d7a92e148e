import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.losses import (
    OBJECTIVES,
    wasserstein_critic_loss,
    wasserstein_estimate,
    wasserstein_generator_loss,
)

REAL = jnp.array([1.0, 2.0, 6.0])
FAKE = jnp.array([-1.0, 4.0])
LOG3 = math.log(3.0)  # sigmoid(log 3) = 3/4
PAIRS = jnp.array([LOG3, -LOG3]), jnp.array([0.0, LOG3])
# With D = 3/4, 1/4 for real and 1/2, 3/4 for fake: losses of critic and generator.
BY_HAND = {
    "wasserstein": (LOG3 / 2, -LOG3 / 2),
    "minimax": ((math.log(16 / 3) + math.log(8)) / 2, -math.log(8) / 2),
    "non_saturating": ((math.log(16 / 3) + math.log(8)) / 2, math.log(8 / 3) / 2),
    "maximum_likelihood": ((math.log(16 / 3) + math.log(8)) / 2, -2.0),
    "hinge": ((1 + LOG3) / 2 + (2 + LOG3) / 2, -LOG3 / 2),
    "least_squares": ((2 + 3 * LOG3**2) / 4, (1 + (LOG3 - 1) ** 2) / 4),
    # f(x) - f(G) is log 3 and -2 log 3.
    "relativistic": (math.log(40 / 3) / 2, math.log(40 / 9) / 2),
}


def generator_loss(objective, real, fake):
    return objective.generator_loss(*((real,) if objective.paired else ()), fake)


def test_wasserstein_values_by_hand():
    assert float(wasserstein_estimate(REAL, FAKE)) == pytest.approx(1.5)
    assert float(wasserstein_critic_loss(REAL, FAKE)) == pytest.approx(-1.5)
    assert float(wasserstein_generator_loss(FAKE)) == pytest.approx(-1.5)


def test_wasserstein_gradients_raise_real_and_lower_fake_scores():
    real_grad, fake_grad = jax.grad(wasserstein_critic_loss, (0, 1))(REAL, FAKE)
    assert real_grad.tolist() == pytest.approx([-1 / 3] * 3)
    assert fake_grad.tolist() == pytest.approx([1 / 2] * 2)
    assert jax.grad(wasserstein_generator_loss)(FAKE).tolist() == [-0.5, -0.5]


@pytest.mark.parametrize("name", BY_HAND)
def test_values_by_hand(name):
    objective = OBJECTIVES[name]
    critic, generator = BY_HAND[name]
    assert float(objective.critic_loss(*PAIRS)) == pytest.approx(critic, rel=1e-6)
    assert float(generator_loss(objective, *PAIRS)) == pytest.approx(generator)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_critic_parts_the_scores_and_generator_raises_its_own(name):
    objective = OBJECTIVES[name]
    # Inside the margins of the hinge and below the label of least squares.
    real, fake = jnp.array([0.5, -0.3]), jnp.array([0.2, 0.9])
    real_grad, fake_grad = jax.grad(objective.critic_loss, (0, 1))(real, fake)
    assert bool((real_grad < 0).all())
    assert bool((fake_grad > 0).all())
    own = jax.grad(lambda fake: generator_loss(objective, real, fake))(fake)
    assert bool((own < 0).all())


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_extreme_logits_stay_finite(name, sign):
    objective = OBJECTIVES[name]
    real, fake = jnp.array([sign * 80.0]), jnp.array([-sign * 80.0])
    for scores in ((real, fake), (fake, real), (real, real)):
        for loss in (
            objective.critic_loss,
            lambda r, f: generator_loss(objective, r, f),
        ):
            value, grads = jax.value_and_grad(loss, (0, 1))(*scores)
            assert bool(jnp.isfinite(jnp.stack([value, *grads[0], *grads[1]])).all())


def test_gradients_of_a_sure_critic():
    # At a fake logit of -80 the minimax generator has no gradient, the
    # non-saturating one has a whole one; a wrong critic is pulled at full rate.
    fake = jnp.array([-80.0])
    names = ("minimax", "non_saturating", "maximum_likelihood")
    grads = {name: jax.grad(OBJECTIVES[name].generator_loss)(fake) for name in names}
    assert abs(float(grads["minimax"][0])) < 1e-30
    assert float(grads["non_saturating"][0]) == pytest.approx(-1.0)
    assert abs(float(grads["maximum_likelihood"][0])) < 1e-30
    wrong = jax.grad(OBJECTIVES["minimax"].critic_loss, (0, 1))(fake, -fake)
    np.testing.assert_allclose(jnp.concatenate(wrong), [-1.0, 1.0], rtol=1e-6)


def test_hinge_leaves_alone_what_is_beyond_its_margin():
    critic = OBJECTIVES["hinge"].critic_loss
    real_grad, fake_grad = jax.grad(critic, (0, 1))(
        jnp.array([1.5, 0.5]), jnp.array([-1.5, 0.5])
    )
    assert real_grad.tolist() == [0.0, -0.5]
    assert fake_grad.tolist() == [0.0, 0.5]


def test_only_a_paired_objective_pairs_examples():
    paired = {name for name, objective in OBJECTIVES.items() if objective.paired}
    assert paired & BY_HAND.keys() == {"relativistic"}
    real, fake = PAIRS
    for name, objective in OBJECTIVES.items():
        same = objective.critic_loss(real, fake[::-1]) - objective.critic_loss(
            real, fake
        )
        assert (abs(float(same)) > 1e-3) == (name in paired), name
    for name in paired:
        with pytest.raises(AssertionError):
            OBJECTIVES[name].critic_loss(REAL, FAKE)
        with pytest.raises(AssertionError):
            OBJECTIVES[name].generator_loss(REAL, FAKE)


def test_only_the_wasserstein_gap_is_called_a_distance():
    gaps = {name: objective.gap_name for name, objective in OBJECTIVES.items()}
    assert gaps["wasserstein"] == "critic/wasserstein_estimate"
    others = BY_HAND.keys() - {"wasserstein"}
    assert {gaps[name] for name in others} == {"critic/score_gap"}
    for name, gap in gaps.items():  # one that is called so is what the critic raises
        if gap == "critic/wasserstein_estimate":
            loss = OBJECTIVES[name].critic_loss(*PAIRS)
            assert float(loss) == pytest.approx(-float(wasserstein_estimate(*PAIRS)))


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("bad", [jnp.ones((3, 1)), jnp.ones(3, jnp.int32)])
def test_scores_of_another_shape_or_type_are_refused(name, bad):
    with pytest.raises(AssertionError):
        OBJECTIVES[name].critic_loss(bad, REAL)
    with pytest.raises(AssertionError):
        generator_loss(OBJECTIVES[name], REAL, bad)


def test_wasserstein_estimate_refuses_scores_of_another_shape():
    with pytest.raises(AssertionError):
        wasserstein_estimate(jnp.ones((3, 1)), FAKE)
