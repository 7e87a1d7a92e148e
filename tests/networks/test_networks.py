"""The tables of networks: initial weights, outputs, examples apart, derivatives."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from small_networks import (
    NAMES,
    ROWS,
    SIZED,
    SMALL,
    apply,
    call,
    critic_of,
    generator_of,
    init,
    jit,
    moved,
    shape_of,
    small_critic,
    small_generator,
    start,
)
from table_rows import fields, small_fields

from wgan_jax.networks import CRITICS, GENERATORS, conv_uniform


def test_every_row_of_both_tables_takes_part():
    assert {case[0] for case in ROWS} == {*GENERATORS, *CRITICS}
    assert {case[0] for case in SMALL} == {*GENERATORS, *CRITICS}


def he(k, inputs, outputs, stride=1):
    return math.sqrt(4 / (k * k * (inputs + outputs / stride**2)))


def glorot(k, inputs, outputs):
    return math.sqrt(2 / (k * k * (inputs + outputs)))


W = 32
# Standard deviation of the kernel of each layer, by hand. A transposed
# convolution's fan_in is divided by stride^2, a convolution's fan_out.
DEVIATIONS = {
    ("generator", "mlp"): {
        "hidden/dense_0": math.sqrt(2 / 64),
        "hidden/dense_1": math.sqrt(2 / W),
        "output": math.sqrt(2 / (W + 192)),
    },
    ("critic", "mlp"): {
        "hidden/dense_0": math.sqrt(2 / 192),
        "output": math.sqrt(2 / (W + 1)),
    },
    ("generator", "dcgan"): {"conv_0": 0.02, "output": 0.02},
    ("critic", "dcgan"): {"conv_0": 0.02, "output": 0.02},
    ("generator", "dcgan_gp"): {
        "project": math.sqrt(2 / (64 + 16 * W)),
        "output": math.sqrt(4 / (25 * W / 4 + 25 * 3)),
    },
    ("critic", "dcgan_gp"): {
        "conv_0": math.sqrt(4 / (25 * 3 + 25 * W / 4)),
        "output": math.sqrt(2 / (16 * W + 1)),
    },
    ("generator", "resnet"): {
        "project": math.sqrt(2 / (64 + 16 * W)),
        "block_0/conv_0": he(3, W, W),
        "block_0/conv_1": he(3, W, W),
        "block_0/shortcut": glorot(1, W, W),
        "output": glorot(3, W, 3),
    },
    ("critic", "resnet"): {
        "block_0/conv_0": he(3, 3, W),
        "block_0/conv_1": he(3, W, W),
        "block_0/shortcut": glorot(1, 3, W),
        "block_1/shortcut": glorot(1, W, W),
        "block_3/conv_1": he(3, W, W),
        "output": glorot(1, W, 1),
    },
    ("generator", "resnet64"): {
        "project": math.sqrt(2 / (64 + 16 * W)),
        "block_0/conv_0": he(3, W, W),
        "block_0/conv_1": he(3, W, W),
        "block_0/shortcut": glorot(1, W, W),
        "output": he(3, W, 3),
    },
    ("critic", "resnet64"): {
        "input": glorot(3, 3, W),
        "block_0/conv_0": he(3, W, W),
        "block_0/conv_1": he(3, W, W),
        "block_0/shortcut": glorot(1, W, W),
        "output": math.sqrt(2 / (16 * W + 1)),
    },
    ("generator", "sngan_cnn"): {"project": 0.02, "conv_0": 0.02, "output": 0.02},
    ("critic", "sngan_cnn"): {"conv_0": 0.02, "conv_5": 0.02, "output": 0.02},
    ("generator", "r3gan"): {
        "project": math.sqrt(1 / 64),
        "stage_1_block_1/widen": math.sqrt(2 / 1.04 / W / 2),
        "stage_1_block_1/group": math.sqrt(2 / 1.04 / (9 * 2 * W / 8) / 2),
        "stage_1_block_1/narrow": 0.0,
        "output": math.sqrt(1 / W),
    },
    ("critic", "r3gan"): {
        "input": math.sqrt(1 / 3),
        "stage_0_block_0/widen": math.sqrt(2 / 1.04 / W / 2),
        "stage_0_block_0/group": math.sqrt(2 / 1.04 / (9 * 2 * W / 8) / 2),
        "stage_0_block_0/narrow": 0.0,
        "output": math.sqrt(1 / W),
    },
    ("generator", "article"): {"down": math.sqrt(1 / 64), "along": math.sqrt(1 / 64)},
    ("critic", "article"): {
        "conv": math.sqrt(1 / 75),
        "output": math.sqrt(1 / (16 * W)),
    },
}


@pytest.mark.parametrize(("role", "name"), DEVIATIONS)
def test_initial_deviation_of_each_layer(role, name, key):
    shape, row = (8, 8, 3), (GENERATORS if role == "generator" else CRITICS)[name]
    # Of r3gan's four blocks: the deviation is multiplied by 4^(-1/4), the variance
    # halved.
    sizes = {"width": W} if "width" in fields(row) else {}
    if role == "generator":
        module, x = row(image_shape=shape, **sizes), jnp.zeros((2, 64))
    else:
        module, x = row(**sizes), jnp.zeros((2, *shape))
    params = init(module, key, x)["params"]
    for path, expected in DEVIATIONS[role, name].items():
        layer = params
        for part in path.split("/"):
            layer = layer[part]
        kernel = np.asarray(layer["kernel"])
        # Five standard errors of a standard deviation; a uniform has less.
        error = 5 / math.sqrt(2 * kernel.size)
        np.testing.assert_allclose(kernel.std(), expected, rtol=error, err_msg=path)
        if "bias" in layer:
            assert not np.any(layer["bias"])


def test_dcgan_scales_are_normal_around_one(key):
    module = GENERATORS["dcgan"](image_shape=(16, 16, 3), width=512)
    params = init(module, key, jnp.zeros((2, 8)))["params"]
    scale = np.asarray(params["norm_0"]["scale"])
    np.testing.assert_allclose(scale.mean(), 1, atol=0.004)
    np.testing.assert_allclose(scale.std(), 0.02, rtol=0.12)


def test_conv_uniform_is_uniform(key):
    x = conv_uniform(gain=1.0, stride=2)(key, (3, 3, 40, 40))
    bound = math.sqrt(3 * 2 / (9 * (40 + 10)))
    assert float(jnp.abs(x).max()) <= bound
    np.testing.assert_allclose(float(jnp.abs(x).max()), bound, rtol=1e-3)
    np.testing.assert_allclose(float(jnp.mean(jnp.abs(x) < bound / 2)), 0.5, atol=0.02)


@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("train", [True, False])
def test_shapes_and_range_at_the_start(case, train, key):
    generator, latent = small_generator(case, key)
    made = call(generator, init(generator, key, latent), latent, train=train)
    critic, images = small_critic(case, key)
    assert made.shape == images.shape
    assert made.dtype == jnp.float32
    assert bool(jnp.all(jnp.isfinite(made)))
    if case[0] in AT_THE_START and case[1] != (2,) and case[0] != "r3gan":
        assert float(jnp.abs(made).max()) < 1
    scores = call(critic, init(critic, key, images), images, train=train)
    assert scores.shape == (6,)
    assert bool(jnp.all(jnp.isfinite(scores)))


# Standard deviation over the images of the first batch, and of their scores; of a row
# that is not here they are at least of this order.
USUAL = (0.02, 1.5), 10
AT_THE_START = {
    "mlp": ((0.05, 0.5), 1),
    "dcgan": ((0.05, 0.5), 0.1),
    "dcgan_gp": ((0.2, 0.9), 2),
    "sngan_cnn": ((0.05, 0.5), 0.1),
    "resnet": ((0.2, 0.9), 1),
    "resnet64": ((0.2, 0.9), 2),
    "r3gan": ((0.2, 0.9), 1),
    "article": ((0.1, 0.6), 1),
}


@pytest.mark.parametrize("name", NAMES)
def test_images_at_the_start_are_neither_flat_nor_saturated(name, key):
    row, shape = generator_of(name), shape_of(name, (32, 32, 3))
    of_generator = small_fields(row, 16)
    of_generator |= {"bounded": True} if "bounded" in fields(row) else {}
    module = row(image_shape=shape, **of_generator)
    latent = jax.random.normal(key, (16, 64))
    images = call(module, init(module, key, latent), latent, train=True)
    (low, high), largest = AT_THE_START.get(name, USUAL)
    assert low < float(images.std()) < high
    assert abs(float(images.mean())) < 0.4
    assert float(images.std(0).mean()) > low / 2
    critic = critic_of(name)(**small_fields(critic_of(name), 16))
    scores = apply(critic, init(critic, key, images), images, train=False)
    assert 0 < float(scores.std()) < largest
    assert float(jnp.abs(scores.mean())) < 2 * largest


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_a_score_depends_on_its_own_example_alone(case, key):
    critic, images = small_critic(case, key)
    variables = moved(init(critic, key, images), key)
    moving = [name for name in variables if name != "params"]
    score = lambda x: critic.apply(variables, x, train=True, mutable=moving)[0]
    before, after = jit(lambda x: (score(x), score(x.at[2].set(-x[2]))))(images)
    unequal = np.asarray(before != after)
    np.testing.assert_array_equal(np.flatnonzero(unequal), [2])
    jacobian = np.asarray(jit(jax.jacrev(score))(images)).reshape(6, 6, -1)
    sizes = np.abs(jacobian).max(-1)
    assert np.all(np.diag(sizes) > 0)
    assert np.all(sizes[~np.eye(6, dtype=bool)] == 0)


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_a_penalty_on_the_gradient_has_finite_derivatives(case, key):
    critic, images = small_critic(case, key)
    fresh = init(critic, key, images)

    def penalty(params):
        full = {**fresh, "params": params}
        score = lambda x: jnp.sum(critic.apply(full, x, train=False))
        slopes = jax.grad(score)(images).reshape(6, -1)
        return jnp.mean((jnp.sqrt(jnp.sum(slopes**2, 1)) - 1) ** 2)

    derivative = jit(jax.grad(penalty))
    for variables in (fresh, moved(fresh, key)):
        leaves = jax.tree.leaves(derivative(variables["params"]))
        assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in leaves)
        assert any(bool(jnp.any(leaf != 0)) for leaf in leaves)


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_every_critic_sows_the_input_of_its_last_layer(case, key):
    critic, images = small_critic(case, key)
    variables = init(critic, key, images)
    assert "intermediates" not in variables
    scores, sown = apply(
        critic, variables, images, train=False, mutable=["intermediates"]
    )
    if case[0] not in AT_THE_START:  # one that is not known here need not sow
        for found in sown.get("intermediates", {}).get("features", ()):
            assert found.shape[0] == 6
            assert found.ndim == 2
        return
    (features,) = sown["intermediates"]["features"]
    output = variables["params"]["output"]
    kernel = output["kernel"].reshape(-1, 1)
    expected = (features @ kernel).reshape(-1) + output.get("bias", jnp.zeros(1))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_in_a_critic_mixes_examples_in_training_alone(key):
    critic = CRITICS["dcgan"](width=4)
    images = jax.random.uniform(key, (6, 16, 16, 1), minval=-1.0)
    variables = init(critic, key, images)
    changed = images.at[2].set(-images[2])
    for train, expected in ((True, 6), (False, 1)):
        score = jit(partial(critic.apply, train=train))
        moved = score(variables, images) != score(variables, changed)
        assert int(moved.sum()) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GENERATORS["dcgan"](image_shape=(30, 30, 3)), "are 28 and 32"),
        (lambda: GENERATORS["dcgan"](image_shape=(4, 4, 3)), "the smallest side is 6"),
        (lambda: GENERATORS["dcgan"](image_shape=(32, 63, 3)), r"\(32, 63, 3\)"),
        (lambda: GENERATORS["dcgan_gp"](image_shape=(4, 36, 3)), "of at least 5"),
        (lambda: GENERATORS["dcgan_gp"](image_shape=(4,)), "mlp takes examples of any"),
        (lambda: GENERATORS["resnet"](image_shape=(25, 28, 1)), "are 24x28 and 28x28"),
        (lambda: GENERATORS["resnet"](image_shape=(2,)), "mlp takes examples of any"),
        (lambda: GENERATORS["resnet64"](image_shape=(27, 27, 1)), "ResNet-64"),
        (lambda: GENERATORS["r3gan"](image_shape=(27, 27, 1)), "R3GAN generator"),
        (lambda: GENERATORS["sngan_cnn"](image_shape=(28, 28, 1)), "divisible by 8"),
        (lambda: GENERATORS["article"](image_shape=(2,)), r"\(H, W, C\)"),
    ],
)
def test_a_size_a_generator_cannot_make_is_refused(make, message, key):
    with pytest.raises(ValueError, match=message):
        make().init(key, jnp.zeros((2, 8)), train=False)


@pytest.mark.parametrize("name", CRITICS)
@pytest.mark.parametrize("shape", [(38, 38, 3), (7,)])
def test_a_size_a_critic_cannot_take_is_refused(name, shape):
    """In a sentence; one that takes it gives a score an example."""
    critic, images, message = CRITICS[name](), jnp.zeros((2, *shape)), ""
    try:
        variables = start(critic, images)
    except ValueError as error:
        message = str(error)
    if message or (name in SIZED and name != "dcgan_gp"):  # that takes any side
        assert str(shape) in message
    else:
        score = partial(critic.apply, train=False)
        assert jax.eval_shape(score, variables, images).shape == (2,)


def typed(field):
    """Rows whose two networks have this field: not all need to."""
    return [
        case
        for case in ROWS
        if field in fields(generator_of(case[0]))
        and field in fields(critic_of(case[0]))
    ]


@pytest.mark.parametrize("case", typed("param_dtype"), ids=str)
def test_float64_stays_float64(case, key):
    with jax.enable_x64(True):
        for small in (small_generator, small_critic):
            module, x = small(case, key, param_dtype="float64")
            variables = start(module, x)
            assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {
                np.dtype("float64")
            }
            moving = [name for name in variables if name != "params"]
            run = partial(module.apply, train=True, mutable=moving)
            out, _ = jax.eval_shape(run, variables, x)
            assert out.dtype == "float64"


@pytest.mark.parametrize("case", typed("dtype"), ids=str)
def test_bfloat16_is_near_float32(case, key):
    for small in (small_generator, small_critic):
        module, x = small(case, key, dtype="bfloat16")
        exact_module, _ = small(case, key)
        variables = init(module, key, x)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {
            np.dtype("float32")
        }
        y, exact = (call(m, variables, x, train=True) for m in (module, exact_module))
        assert y.dtype == jnp.bfloat16
        scale = float(jnp.abs(exact).max())
        np.testing.assert_allclose(y.astype("float32"), exact, atol=0.05 * scale)


TRANSPOSED = {"conv_transpose": partial(nn.ConvTranspose, transpose_kernel=True)}
CONV = {"conv": nn.Conv}


@pytest.mark.parametrize(
    ("name", "of_generator"),
    [
        ("dcgan", TRANSPOSED),
        ("dcgan_gp", TRANSPOSED),
        ("sngan_cnn", TRANSPOSED | CONV),
        ("resnet", CONV),
        ("resnet64", CONV),
    ],
)
def test_flax_layers_make_the_same_network(name, of_generator, key):
    shape = (8, 8, 3)
    pairs = [
        (
            GENERATORS[name](image_shape=shape, width=4),
            GENERATORS[name](image_shape=shape, width=4, **of_generator),
            jax.random.normal(key, (4, 6)),
        ),
        (
            CRITICS[name](width=4),
            CRITICS[name](width=4, conv=nn.Conv),
            jax.random.normal(key, (4, *shape)),
        ),
    ]
    for ours, flax, x in pairs:
        variables = init(ours, key, x)
        jax.tree.map(np.testing.assert_array_equal, variables, init(flax, key, x))
        a, b = (apply(m, variables, x, train=True) for m in (ours, flax))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
