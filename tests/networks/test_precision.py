"""The precision of products, of sums over a batch, and of scores."""

import jax
import jax.numpy as jnp
import pytest
from small_networks import ROWS, small_critic, small_generator
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


def equations(jaxpr):
    """All equations of a program, and of those within it."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for part in value if isinstance(value, tuple | list) else [value]:
                if hasattr(part, "jaxpr"):
                    part = part.jaxpr
                if hasattr(part, "eqns"):
                    yield from equations(part)


@pytest.mark.parametrize("small", [small_critic, small_generator])
@pytest.mark.parametrize("case", ROWS, ids=lambda case: case[0])
def test_no_gradient_is_summed_over_a_batch_in_bfloat16(case, small, key):
    network, x = small(case, key, dtype=jnp.bfloat16)
    variables = jax.eval_shape(lambda k: network.init(k, x, train=False), key)

    def total(params, others):
        y = network.apply({**others, "params": params}, x, train=False)
        return jnp.sum(y.astype(jnp.float32))

    gradient = jax.make_jaxpr(jax.grad(total))
    sums = [
        equation.invars[0].aval
        for equation in equations(gradient(variables["params"], variables).jaxpr)
        if equation.primitive.name == "reduce_sum"
        and 0 in equation.params["axes"]
        and equation.invars[0].aval.shape[0] == len(x)
    ]
    assert not [aval for aval in sums if aval.dtype == jnp.bfloat16]


CRITICS_ALONE = [case for case in ROWS if case[0] in CRITICS]


@pytest.mark.parametrize("case", CRITICS_ALONE, ids=lambda case: case[0])
def test_scores_are_not_rounded_to_bfloat16(case, key):
    critic, images = small_critic(case, key, dtype=jnp.bfloat16)
    variables = critic.init(key, images, train=False)
    scores = critic.apply(variables, images, train=False)
    assert scores.dtype == jnp.float32
    assert (scores != scores.astype(jnp.bfloat16).astype(jnp.float32)).any()


@pytest.mark.parametrize("head", ["projection", "auxiliary"])
def test_scores_by_class_are_not_rounded_to_bfloat16(head, key):
    critic = CRITICS["dcgan_gp"](width=4, classes=3, head=head, dtype=jnp.bfloat16)
    images = jax.random.normal(key, (6, 8, 8, 1))
    labels = jnp.arange(6) % 3
    variables = critic.init(key, images, labels, train=False)
    scores = critic.apply(variables, images, labels, train=False)
    assert scores.dtype == jnp.float32
    assert (scores != scores.astype(jnp.bfloat16).astype(jnp.float32)).any()
