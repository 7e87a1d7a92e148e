"""A user's precision reaches every product of a step, our convolutions too."""

import jax
import jax.numpy as jnp
import pytest
from tiny import tiny_gan

from wgan_jax import init_state, train_step
from wgan_jax.networks import CRITICS, GENERATORS


@pytest.mark.parametrize(
    ("asked", "found"), [(None, "DEFAULT"), ("highest", "HIGHEST")]
)
def test_the_default_of_jax_holds_for_all_products(asked, found, key):
    gan = tiny_gan(
        generator=GENERATORS["resnet"](image_shape=(8, 8, 3), width=4),
        critic=CRITICS["resnet"](width=4),
    )
    state = jax.eval_shape(lambda k: init_state(gan, k), key)
    batch = jax.ShapeDtypeStruct((2, 4, 8, 8, 3), jnp.uint8)
    with jax.default_matmul_precision(asked):
        step = jax.jit(lambda s, b, k: train_step(gan, s, b, k))
        text = step.lower(state, batch, key).as_text()
    convolutions = [x for x in text.splitlines() if "stablehlo.convolution" in x]
    products = [x for x in text.splitlines() if "stablehlo.dot_general" in x]
    assert len(convolutions) > 20
    assert len(products) > 10
    for line in convolutions + products:
        assert found in line, line
