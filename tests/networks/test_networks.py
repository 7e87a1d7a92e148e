"""The tables of networks: sizes, initial weights, outputs, examples apart."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax.errors import FlaxError

from wgan_jax.networks import CRITICS, GENERATORS, BatchNorm, conv_uniform

QUICK = {"xla_backend_optimization_level": 0}
jit = partial(jax.jit, compiler_options=QUICK)

# Pair, image shape, latent size, fields of generator and critic: small.
SMALL = [
    ("mlp", (2,), 2, {"width": 16}, {"width": 16}),
    ("mlp", (4, 4, 1), 5, {"width": 16}, {"width": 16}),
    ("dcgan", (8, 8, 1), 5, {"width": 4}, {"width": 4, "batch_norm": False}),
    ("dcgan", (28, 28, 1), 5, {"width": 4}, {"width": 4, "batch_norm": False}),
    ("dcgan_gp", (8, 8, 3), 5, {"width": 4}, {"width": 4}),
    ("dcgan_gp", (28, 28, 1), 5, {"width": 4}, {"width": 4}),
    ("resnet", (8, 8, 3), 5, {"width": 4}, {"width": 4}),
]


def init(module, key, x):
    return jit(partial(module.init, train=False))(key, x)


def small(case, key, **fields):
    name, shape, size, generator_fields, critic_fields = case
    generator = GENERATORS[name](image_shape=shape, **generator_fields, **fields)
    critic = CRITICS[name](**critic_fields, **fields)
    dtype = fields.get("param_dtype", "float32")
    latent = jax.random.normal(key, (6, size), dtype)
    images = jax.random.uniform(key, (6, *shape), dtype, minval=-1.0)
    return (
        (generator, init(generator, key, latent), latent),
        (critic, init(critic, key, images), images),
    )


def count(module, *shape):
    variables = jax.eval_shape(
        partial(module.init, train=False), jax.random.key(0), jnp.zeros(shape)
    )
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
    ("name", "latent", "shape", "fields", "generator_count", "critic_count"),
    [
        ("mlp", 2, (2,), {}, 527_874, 527_361),
        ("dcgan", 100, (64, 64, 3), {"width": 64}, 3_576_704, 2_765_568),
        ("dcgan_gp", 128, (32, 32, 3), {"width": 128}, 5_179_907, 4_114_689),
        ("resnet", 128, (32, 32, 3), {"width": 128}, 1_204_483, 1_053_825),
    ],
)
def test_parameter_counts_of_the_papers(
    name, latent, shape, fields, generator_count, critic_count
):
    generator = GENERATORS[name](image_shape=shape, **fields)
    assert count(generator, 2, latent) == generator_count
    assert count(CRITICS[name](**fields), 2, *shape) == critic_count


def test_parameter_counts_of_the_digits_pair():
    generator = GENERATORS["dcgan_gp"](
        image_shape=(28, 28, 1), width=64, batch_norm=False
    )
    assert count(generator, 2, 128) == 1_554_177
    assert count(CRITICS["dcgan_gp"](width=64), 2, 28, 28, 1) == 1_030_145


def test_both_tables_have_the_same_pairs():
    assert GENERATORS.keys() == CRITICS.keys()


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
}


@pytest.mark.parametrize("role", ["generator", "critic"])
@pytest.mark.parametrize("name", GENERATORS)
def test_initial_deviation_of_each_layer(role, name, key):
    shape = (8, 8, 3)
    if role == "generator":
        module, x = GENERATORS[name](image_shape=shape, width=W), jnp.zeros((2, 64))
    else:
        module, x = CRITICS[name](width=W), jnp.zeros((2, *shape))
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
    (generator, variables, latent), (critic, critic_variables, images) = small(
        case, key
    )
    made = jit(partial(generator.apply, train=train))(variables, latent)
    assert made.shape == images.shape
    assert made.dtype == jnp.float32
    if case[0] != "mlp":
        assert float(jnp.abs(made).max()) < 1
    scores = jit(partial(critic.apply, train=train))(critic_variables, images)
    assert scores.shape == (6,)
    assert bool(jnp.all(jnp.isfinite(scores)))


@pytest.mark.parametrize(
    ("name", "low", "high"), [("dcgan", 0.05, 0.5), ("dcgan_gp", 0.2, 0.9)]
)
def test_images_at_the_start_are_neither_flat_nor_saturated(name, low, high, key):
    module = GENERATORS[name](image_shape=(32, 32, 3), width=16)
    latent = jax.random.normal(key, (16, 64))
    images = jit(partial(module.apply, train=True))(init(module, key, latent), latent)
    assert low < float(images.std()) < high
    assert abs(float(images.mean())) < 0.2


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_a_score_depends_on_its_own_example_alone(case, key):
    _, (critic, variables, images) = small(case, key)
    score = lambda x: critic.apply(variables, x, train=True)
    before, after = jit(lambda x: (score(x), score(x.at[2].set(-x[2]))))(images)
    moved = np.asarray(before != after)
    np.testing.assert_array_equal(np.flatnonzero(moved), [2])
    jacobian = np.asarray(jit(jax.jacrev(score))(images)).reshape(6, 6, -1)
    sizes = np.abs(jacobian).max(-1)
    assert np.all(np.diag(sizes) > 0)
    assert np.all(sizes[~np.eye(6, dtype=bool)] == 0)


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
        (lambda: GENERATORS["dcgan"](image_shape=(30, 30, 3)), r"7 \* 2\^k"),
        (lambda: GENERATORS["dcgan"](image_shape=(4, 4, 3)), r"4 \* 2\^k"),
        (lambda: GENERATORS["dcgan"](image_shape=(32, 64, 3)), r"\(32, 64, 3\)"),
        (lambda: GENERATORS["dcgan_gp"](image_shape=(36, 36, 3)), "8, 28, 32 or 64"),
        (lambda: GENERATORS["dcgan_gp"](image_shape=(4, 4, 3)), "at least 8"),
        (lambda: GENERATORS["resnet"](image_shape=(28, 28, 1)), r"S = 4 \* 2\^k"),
        (lambda: GENERATORS["resnet"](image_shape=(2,)), r"\(S, S, C\)"),
    ],
)
def test_a_size_a_generator_cannot_make_is_refused(make, message, key):
    with pytest.raises(ValueError, match=message):
        make().init(key, jnp.zeros((2, 8)), train=False)


@pytest.mark.parametrize("name", ["dcgan", "dcgan_gp", "resnet"])
@pytest.mark.parametrize("shape", [(38, 38, 3), (7,)])
def test_a_size_a_critic_cannot_take_is_refused(name, shape, key):
    with pytest.raises(ValueError, match="critic: image shape is"):
        CRITICS[name]().init(key, jnp.zeros((2, *shape)), train=False)


def test_batch_norm_by_hand(key):
    x = 3 + 2 * jax.random.normal(key, (8, 4, 4, 5))
    norm = BatchNorm()
    variables = norm.init(key, x, train=True)
    np.testing.assert_array_equal(variables["batch_stats"]["mean"], np.zeros(5))
    y, new = norm.apply(variables, x, train=True, mutable=["batch_stats"])
    x = np.asarray(x, np.float64)
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), atol=1e-5)
    stats = new["batch_stats"]
    np.testing.assert_allclose(stats["mean"], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * var, rtol=1e-5)
    running = norm.apply({**variables, **new}, x.astype("float32"), train=False)
    mean, var = np.asarray(stats["mean"]), np.asarray(stats["var"])
    np.testing.assert_allclose(running, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-4)


def test_statistics_move_only_where_the_caller_says_so(key):
    x = jax.random.normal(key, (8, 3))
    norm = BatchNorm()
    variables = norm.init(key, x, train=True)
    fixed = norm.apply(variables, x, train=True)
    moving, _ = norm.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_array_equal(fixed, moving)
    _, same = norm.apply(variables, x, train=False, mutable=["batch_stats"])
    np.testing.assert_array_equal(same["batch_stats"]["mean"], np.zeros(3))
    with pytest.raises(FlaxError):
        norm.apply({"params": variables["params"]}, x, train=False)


@pytest.mark.parametrize("case", SMALL[2::2], ids=str)
def test_float64_stays_float64(case, key):
    with jax.enable_x64(True):
        for module, variables, x in small(case, key, param_dtype="float64"):
            assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {
                np.dtype("float64")
            }
            apply = partial(module.apply, train=True)
            assert jax.eval_shape(apply, variables, x).dtype == "float64"


@pytest.mark.parametrize("case", SMALL[2::2], ids=str)
def test_bfloat16_is_near_float32(case, key):
    low = small(case, key, dtype="bfloat16")
    for (a, variables, x), (b, _, _) in zip(low, small(case, key), strict=True):
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {
            np.dtype("float32")
        }
        y, exact = (jit(partial(m.apply, train=True))(variables, x) for m in (a, b))
        assert y.dtype == jnp.bfloat16
        scale = float(jnp.abs(exact).max())
        np.testing.assert_allclose(y.astype("float32"), exact, atol=0.05 * scale)


@pytest.mark.parametrize("name", ["dcgan", "dcgan_gp"])
def test_flax_layers_make_the_same_network(name, key):
    transposed = partial(nn.ConvTranspose, transpose_kernel=True)
    shape = (8, 8, 3)
    pairs = [
        (
            GENERATORS[name](image_shape=shape, width=4),
            GENERATORS[name](image_shape=shape, width=4, conv_transpose=transposed),
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
        a, b = (jit(partial(m.apply, train=True))(variables, x) for m in (ours, flax))
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
