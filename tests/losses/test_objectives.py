import jax
import jax.numpy as jnp
import pytest

from wgan_jax.losses import (
    wasserstein_critic_loss,
    wasserstein_estimate,
    wasserstein_generator_loss,
)

REAL = jnp.array([1.0, 2.0, 6.0])
FAKE = jnp.array([-1.0, 4.0])


def test_wasserstein_values_by_hand():
    assert float(wasserstein_estimate(REAL, FAKE)) == pytest.approx(1.5)
    assert float(wasserstein_critic_loss(REAL, FAKE)) == pytest.approx(-1.5)
    assert float(wasserstein_generator_loss(FAKE)) == pytest.approx(-1.5)


def test_wasserstein_gradients_raise_real_and_lower_fake_scores():
    real_grad, fake_grad = jax.grad(wasserstein_critic_loss, (0, 1))(REAL, FAKE)
    assert real_grad.tolist() == pytest.approx([-1 / 3] * 3)
    assert fake_grad.tolist() == pytest.approx([1 / 2] * 2)
    assert jax.grad(wasserstein_generator_loss)(FAKE).tolist() == [-0.5, -0.5]


@pytest.mark.parametrize("bad", [jnp.ones((3, 1)), jnp.ones(3, jnp.int32)])
def test_scores_of_another_shape_or_type_are_refused(bad):
    with pytest.raises(AssertionError):
        wasserstein_estimate(bad, FAKE)
    with pytest.raises(AssertionError):
        wasserstein_generator_loss(bad)
