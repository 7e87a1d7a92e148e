"""Dropout and kernels of the DCGAN critics."""

from functools import partial

import jax
import numpy as np
import pytest

from wgan_jax.networks import CRITICS


@pytest.fixture(params=["dcgan", "dcgan_gp"])
def critic(request):
    return partial(CRITICS[request.param], width=4, batch_norm=False)


@pytest.fixture
def images(key):
    return jax.random.normal(key, (6, 16, 16, 1))


def test_dropout_is_active_only_with_a_key(critic, images, key):
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


def test_dropped_critic_sees_nothing(critic, images, key):
    variables = critic().init(key, images, train=True)
    dropped = critic(dropout=1 - 1e-7)
    scores = dropped.apply(variables, images, train=True, rngs={"dropout": key})
    np.testing.assert_array_equal(scores, 0)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rates_out_of_range_are_rejected(critic, rate, images, key):
    with pytest.raises(ValueError, match=r"dropout is .*; it must be in \[0, 1\)"):
        critic(dropout=rate).init(key, images, train=True)


@pytest.mark.parametrize("size", [2, 4, 5])
def test_kernels_have_the_given_size(size, images, key):
    variables = CRITICS["dcgan_gp"](width=4, kernel_size=size).init(
        key, images, train=True
    )
    kernels = [layer["kernel"] for layer in variables["params"].values()]
    shapes = [k.shape for k in kernels if k.ndim == 4]
    assert shapes == [(size, size, 1, 4), (size, size, 4, 8)]


def test_a_critic_with_4x4_kernels_has_the_same_maps_as_dcgan(images, key):
    """With the same kernels and without biases, the scores are equal."""
    ours = CRITICS["dcgan_gp"](width=4, kernel_size=4)
    theirs = CRITICS["dcgan"](width=4, batch_norm=False)
    variables = theirs.init(key, images, train=True)["params"]
    last = variables.pop("output")["kernel"].reshape(-1, 1)
    shapes = jax.eval_shape(lambda: ours.init(key, images, train=True)["params"])
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    params = {name: zeros[name] | layer for name, layer in variables.items()}
    [linear] = set(zeros) - set(params)
    params[linear] = zeros[linear] | {"kernel": last}
    np.testing.assert_allclose(
        ours.apply({"params": params}, images, train=True),
        theirs.apply(
            {"params": variables | {"output": {"kernel": last.reshape(4, 4, 8, 1)}}},
            images,
            train=True,
        ),
        1e-5,
        1e-6,
    )
