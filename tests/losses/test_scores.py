import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.losses import consistency, drift

REAL = jnp.linspace(-1, 1, 8 * 6).reshape(8, 3, 2)


class Dropping:
    """A linear critic on inputs of which dropout keeps a share."""

    def __init__(self, keep):
        self.keep = keep

    def __call__(self, x):
        return jnp.sum(x.reshape(x.shape[0], -1), axis=1)

    def perturbed(self, x, key):
        x = x.reshape(x.shape[0], -1)
        features = x * jax.random.bernoulli(key, self.keep, x.shape) / self.keep
        return jnp.sum(features, axis=1), features


def test_consistency_is_positive_with_dropout_and_zero_without(key):
    assert float(consistency(Dropping(0.5), REAL, REAL, key)[0]) > 0
    assert float(consistency(Dropping(1.0), REAL, REAL, key)[0]) == 0


def test_consistency_by_hand(key):
    critic = Dropping(0.5)
    first, second = (critic.perturbed(REAL, k) for k in jax.random.split(key))
    apart = (np.asarray(first[0]) - np.asarray(second[0])) ** 2
    features = ((np.asarray(first[1]) - np.asarray(second[1])) ** 2).mean(axis=1)
    assert apart.min() < 1 < apart.max()
    for weight, margin in ((0.1, 0.0), (0.0, 0.0), (3.0, 1.0)):
        value, metrics = consistency(
            critic, REAL, REAL, key, feature_weight=weight, margin=margin
        )
        expected = np.maximum(apart + weight * features - margin, 0).mean()
        np.testing.assert_allclose(value, expected, rtol=1e-5)
        assert float(metrics["critic/consistency"]) == float(value)


def test_consistency_looks_at_real_images_alone(key):
    critic = Dropping(0.5)
    one, other = (consistency(critic, REAL, f, key)[0] for f in (REAL, 7 * REAL))
    assert float(one) == float(other)


def test_consistency_has_the_expectation_of_independent_masks(key):
    # x m / k for m of probability k has the variance x^2 (1 - k) / k.
    keep, x = 0.25, jnp.full((30_000, 1), 2.0)
    value = consistency(Dropping(keep), x, x, key, feature_weight=0.0)[0]
    np.testing.assert_allclose(value, 2 * 4 * (1 - keep) / keep, rtol=0.03)


def test_consistency_needs_the_method_perturbed(key):
    with pytest.raises(ValueError, match="no method 'perturbed'"):
        consistency(lambda x: x[:, 0], REAL, REAL, key)


def test_drift_is_the_mean_square_of_real_scores(key):
    critic = lambda x: x[:, 0]
    real, fake = jnp.array([[1.0], [-3.0]]), jnp.full((2, 1), 100.0)
    assert float(drift(critic, real, fake, key)) == 5.0
    half = lambda x: jnp.full(x.shape[0], 300.0, jnp.float16)  # its square overflows
    assert float(drift(half, real, fake, key)) == 90_000.0
    with pytest.raises(AssertionError):
        drift(jnp.mean, real, fake, key)
