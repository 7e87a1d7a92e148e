"""Dropout of the DCGAN critic."""

import jax
import numpy as np
import pytest

from wgan_jax.networks import CRITICS


def critic(**options):
    return CRITICS["dcgan"](width=4, batch_norm=False, **options)


@pytest.fixture
def images(key):
    return jax.random.normal(key, (6, 16, 16, 1))


def test_dropout_is_active_only_with_a_key(images, key):
    variables = critic().init(key, images, train=True)
    plain = critic().apply(variables, images, train=True)
    dropped = critic(dropout=0.5)
    same = dropped.apply(variables, images, train=True)
    np.testing.assert_array_equal(same, plain)
    a, b = (
        dropped.apply(variables, images, train=True, rngs={"dropout": k})
        for k in jax.random.split(key)
    )
    assert not np.allclose(a, b)
    assert not np.allclose(a, plain)


def test_dropped_critic_sees_nothing(images, key):
    variables = critic().init(key, images, train=True)
    dropped = critic(dropout=1 - 1e-7)
    scores = dropped.apply(variables, images, train=True, rngs={"dropout": key})
    np.testing.assert_array_equal(scores, 0)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rates_out_of_range_are_rejected(rate, images, key):
    with pytest.raises(ValueError, match=r"dropout is .*; it must be in \[0, 1\)"):
        critic(dropout=rate).init(key, images, train=True)
