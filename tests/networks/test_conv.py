"""The closed convolution against JAX's own, in float64."""

import os
import re
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.networks import conv as closed
from wgan_jax.networks import forms
from wgan_jax.networks.conv import (
    conv,
    conv_mean_pool,
    conv_transpose,
    upsample_conv,
)
from wgan_jax.networks.geometry import Geometry

SAME = ((1, 1), (1, 1))
NONE = ((0, 0), (0, 0))
SKEW = ((0, 1), (2, 1))
# These programs run once: most of their time would go into optimising them.
QUICK = {"xla_backend_optimization_level": 0}
jit = partial(jax.jit, compiler_options=QUICK)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def lax_conv(x, w, stride, padding):
    return jax.lax.conv_general_dilated(
        x, w, (stride, stride), padding, dimension_numbers=forms.LAYOUT
    )


def derivatives(f, x, w, dx, dw):
    """Value, gradients, gradients of a gradient penalty, and forward modes."""

    def loss(x, w):
        return jnp.sum(jnp.sin(f(x, w)))

    gradients = jax.grad(loss, (0, 1))

    def penalty(x, w):
        return sum(jnp.sum(jnp.cos(g) ** 2) for g in gradients(x, w))

    return {
        "value": f(x, w),
        "first": gradients(x, w),
        "second": jax.grad(penalty, (0, 1))(x, w),
        "jvp": jax.jvp(f, (x, w), (dx, dw))[1],
        "forward over reverse": jax.jvp(gradients, (x, w), (dx, dw))[1],
    }


def assert_same(actual, expected):
    """Equal to 1e-12 of the largest entry of each array."""

    def check(a, b):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())

    jax.tree.map(check, actual, expected)


# Channels in and out choose the forms on a CPU: few, some, many.
CASES = [
    (k, s, *rest)
    for k in range(1, 6)
    for s in (1, 2)
    for rest in (((6, 7), SAME, 16, 9), ((5, 8), SKEW, 3, 2))
] + [
    (4, 1, (4, 4), NONE, 3, 2),
    (3, 1, (6, 7), SKEW, 9, 2),
    (4, 2, (6, 7), SAME, 9, 2),
    (5, 3, (8, 7), SAME, 16, 2),
    (2, 3, (7, 7), NONE, 16, 2),
    (1, 1, (4, 5), NONE, 3, 2),
]


@pytest.mark.parametrize(
    ("k", "stride", "size", "padding", "channels", "features"), CASES
)
def test_all_derivatives_are_those_of_lax(
    x64, k, stride, size, padding, channels, features
):
    x, dx = (normal(seed, 2, *size, channels) for seed in (0, 1))
    w, dw = (normal(seed, k, k, channels, features) for seed in (2, 3))

    @jit
    def both(*args):
        def ours(x, w):
            return conv(x, w, stride=stride, padding=padding)

        def lax(x, w):
            return lax_conv(x, w, stride, padding)

        return derivatives(ours, *args), derivatives(lax, *args)

    assert_same(*both(x, w, dx, dw))


@pytest.mark.parametrize("k", [3, 4, 5])
@pytest.mark.parametrize("channels", [3, 16])
def test_transposed_convolution_and_its_derivatives(x64, k, channels):
    size, padding = (8, 7), ((1, k - 3), (1, 1))
    out = jax.eval_shape(
        lambda x, w: lax_conv(x, w, 2, padding),
        jax.ShapeDtypeStruct((2, *size, channels), float),
        jax.ShapeDtypeStruct((k, k, channels, 2), float),
    ).shape
    g, dg = normal(0, *out), normal(1, *out)
    w, dw = (normal(seed, k, k, channels, 2) for seed in (2, 3))

    def lax(g, w):
        zero = jnp.zeros((2, *size, channels))
        return jax.vjp(lambda x: lax_conv(x, w, 2, padding), zero)[1](g)[0]

    @jit
    def both(*args):
        def ours(g, w):
            return conv_transpose(g, w, stride=2, padding=padding, output_size=size)

        return derivatives(ours, *args), derivatives(lax, *args)

    assert_same(*both(g, w, dg, dw))


@pytest.mark.parametrize(
    ("k", "stride"), [(k, s) for k in range(1, 6) for s in (1, 2, 3) if s <= k]
)
def test_forms_of_the_input_gradient_are_equal(x64, k, stride):
    geometries = [
        Geometry(stride, padding, size, (k, k))
        for size in ((6, 7), (5, 9))
        for padding in (NONE, SAME, SKEW)
    ]
    w = normal(1, k, k, 2, 3)
    gs = [normal(0, 2, *geometry.output, 3) for geometry in geometries]

    @jit
    def all_three(gs, w):
        return [
            [
                form(g, w, geometry=geometry)
                for g, geometry in zip(gs, geometries, strict=True)
            ]
            for form in (
                forms.backward,
                forms.backward_phases,
                forms.backward_columns,
            )
        ]

    dilated, phases, columns = all_three(gs, w)
    assert_same(phases, dilated)
    assert_same(columns, dilated)


def lowered_for_cuda(function, *shapes):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.jit(function).trace(*arguments).lower(lowering_platforms=("cuda",))


def gradients_for_cuda(size, k):
    """The two gradients' program of a strided layer whose kernel is computed."""

    def both(x, w, g):
        return jax.vjp(lambda x, w: conv(x, 2 * w, stride=2, padding=SAME), x, w)[1](g)

    out = (size + 2 - k) // 2 + 1
    shapes = (2, size, size, 3), (k, k, 3, 4), (2, out, out, 4)
    return lowered_for_cuda(both, *shapes).as_text()


def test_on_cuda_a_computed_kernel_is_not_fused_with_its_reversal():
    text = gradients_for_cuda(16, 4)
    assert "optimization_barrier" in text
    assert text.count("stablehlo.convolution") == 2, "one for each gradient"


def test_on_cuda_a_map_below_its_kernel_goes_by_phases():
    text = gradients_for_cuda(8, 5)
    assert text.count("stablehlo.convolution") == 5, "four for the input gradient"
    assert not re.search(r"lhs_dilat\w+ = \[2", text)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_pooled_and_upsampled_equal_the_two_operations(x64, k):
    x, w = normal(0, 2, 6, 8, 3), normal(1, k, k, 3, 16)
    dx, dw = normal(2, *x.shape), normal(3, *w.shape)

    def pool(x, w):
        y = lax_conv(x, w, 1, "SAME")
        return y.reshape(2, 3, 2, 4, 2, 16).mean((2, 4))

    def upsample(x, w):
        return lax_conv(x.repeat(2, 1).repeat(2, 2), w, 1, "SAME")

    @jit
    def all_four(*args):
        pairs = ((conv_mean_pool, pool), (upsample_conv, upsample))
        return [[derivatives(f, *args) for f in pair] for pair in pairs]

    for ours, two_operations in all_four(x, w, dx, dw):
        assert_same(ours, two_operations)


@pytest.mark.parametrize("axes", [(0, None), (None, 4), (1, 0), (3, None), (None, 2)])
def test_vmap_over_images_kernels_and_both(x64, axes):
    n = 3
    x_shape, w_shape = [2, 6, 6, 16], [4, 4, 16, 2]
    for shape, axis in zip((x_shape, w_shape), axes, strict=True):
        if axis is not None:
            shape.insert(axis, n)
    x, w = normal(0, *x_shape), normal(1, *w_shape)

    def outputs(x, w):
        def f(x, w):
            return conv(x, w, stride=2, padding=SAME)

        def penalty(x, w):
            return jnp.sum(jax.grad(lambda x: jnp.sum(jnp.sin(f(x, w))))(x) ** 2)

        return f(x, w), jax.grad(penalty, (0, 1))(x, w)

    @jit
    def both(x, w):
        def one(a, axis, i):
            return a if axis is None else jnp.take(a, i, axis)

        apart = [outputs(one(x, axes[0], i), one(w, axes[1], i)) for i in range(n)]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *apart)
        return jax.vmap(outputs, axes)(x, w), stacked

    assert_same(*both(x, w))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("primitive", ["FORWARD", "BACKWARD", "KERNEL"])
def test_vmap_of_each_map_over_one_argument(x64, primitive, which):
    geometry = Geometry(2, SAME, (6, 6), (4, 4))
    x, w, g = normal(0, 2, 6, 6, 5), normal(1, 4, 4, 5, 3), normal(2, 2, 3, 3, 3)
    a, b = {"FORWARD": (x, w), "BACKWARD": (g, w), "KERNEL": (x, g)}[primitive]
    f = partial(getattr(closed, primitive).bind, geometry=geometry)
    if which == 1:
        a, b, f = b, a, lambda b, a, f=f: f(a, b)
    many = jnp.stack([a, -2 * a, jnp.flip(a)], axis=2)

    @jit
    def both(many, b):
        apart = jnp.stack([f(many[:, :, i], b) for i in range(3)])
        return jax.vmap(f, (2, None))(many, b), apart

    assert_same(*both(many, b))


def test_gradient_of_vmap_over_both(x64):
    x, w = normal(0, 3, 2, 6, 6, 4), normal(1, 3, 4, 4, 4, 2)
    f = partial(conv, stride=2, padding=SAME)

    @jit
    def both(x, w):
        def mapped(x, w):
            return jnp.sum(jnp.sin(jax.vmap(f)(x, w)))

        def apart(x, w):
            return sum(jnp.sum(jnp.sin(f(x[i], w[i]))) for i in range(3))

        return jax.grad(mapped, (0, 1))(x, w), jax.grad(apart, (0, 1))(x, w)

    assert_same(*both(x, w))


def test_scan_equals_the_unrolled_loop(x64):
    xs, w = normal(0, 3, 2, 8, 8, 3), normal(1, 4, 4, 3, 16) / 10

    def update(w, x):
        slope = jax.grad(
            lambda x: jnp.sum(jnp.tanh(conv(x, w, stride=2, padding=SAME)))
        )
        return w - 0.1 * jax.grad(lambda v: jnp.sum(slope(x) ** 2) + jnp.sum(v**2))(w)

    @jit
    def both(w, xs):
        scanned, _ = jax.lax.scan(lambda w, x: (update(w, x), None), w, xs)
        for x in xs:
            w = update(w, x)
        return scanned, w

    assert_same(*both(w, xs))


@pytest.mark.parametrize(
    ("x_dtype", "w_dtype", "expected"),
    [
        ("bfloat16", "bfloat16", "bfloat16"),
        ("bfloat16", "float32", "float32"),
        ("float32", "float32", "float32"),
        ("float64", "float32", "float64"),
    ],
)
def test_dtypes_are_promoted_and_gradients_keep_their_own(
    x64, x_dtype, w_dtype, expected
):
    x, w = normal(0, 2, 8, 8, 3), normal(1, 4, 4, 3, 16)

    def f(x, w):
        return conv(x, w, stride=2, padding=SAME)

    def g(x, w):
        return conv_transpose(f(x, w), w, stride=2, padding=SAME, output_size=(8, 8))

    y, vjp = jax.vjp(g, x.astype(x_dtype), w.astype(w_dtype))
    assert y.dtype == expected
    assert [a.dtype for a in vjp(y)] == [x_dtype, w_dtype]
    exact = g(x.astype(x_dtype).astype(float), w.astype(w_dtype).astype(float))
    error = jnp.abs(y.astype(float) - exact).max() / jnp.abs(exact).max()
    assert error < {"bfloat16": 0.02, "float32": 1e-6, "float64": 1e-14}[expected]


def penalty_gradient(x, w):
    def penalty(w):
        def score(x):
            return jnp.sum(jnp.tanh(conv(x, w, stride=2, padding=SAME)))

        return jnp.sum(jax.grad(score)(x) ** 2)

    return jax.grad(penalty)(w)


def convolutions(platform):
    """Lowered convolutions of a penalty's gradient, one string each."""
    lowered = (
        jax.jit(penalty_gradient)
        .trace(jnp.zeros((2, 8, 8, 16)), jnp.zeros((4, 4, 16, 16)))
        .lower(lowering_platforms=(platform,))
    )
    return re.findall(r"stablehlo\.convolution.*", lowered.as_text())


@pytest.mark.parametrize("platform", ["cpu", "tpu", "cuda"])
def test_second_derivatives_stay_in_the_canonical_form(platform):
    found = convolutions(platform)
    assert found
    for text in found:
        assert "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in text
        assert "reverse" not in text or "reverse = [false, false]" in text


def test_phases_are_for_the_cpu_alone():
    dilated = [
        text for text in convolutions("cpu") if re.search(r"lhs_dilat\w+ = \[2", text)
    ]
    assert not dilated
    for platform in ("tpu", "cuda"):
        assert any(
            re.search(r"lhs_dilat\w+ = \[2", text) for text in convolutions(platform)
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: conv(jnp.ones((1, 4, 4, 3)), jnp.ones((3, 3, 2, 1)), padding=SAME),
            r"must be \[B, H, W, I\] and \[K, K, I, O\]",
        ),
        (
            lambda: conv(jnp.ones((1, 2, 2, 1)), jnp.ones((5, 5, 1, 1)), padding=SAME),
            "does not fit into images",
        ),
        (
            lambda: conv_transpose(
                jnp.ones((1, 4, 4, 1)),
                jnp.ones((4, 4, 1, 1)),
                stride=2,
                padding=SAME,
                output_size=(11, 8),
            ),
            r"an input of \(4, 4\) cannot give an output of \(11, 8\); "
            r".* the input must be \(5, 4\)",
        ),
        (
            lambda: conv_mean_pool(jnp.ones((1, 5, 4, 1)), jnp.ones((3, 3, 1, 1))),
            "both sides must be even",
        ),
        (
            lambda: upsample_conv(jnp.ones((1, 4, 4, 1)), jnp.ones((4, 4, 1, 1))),
            "odd K",
        ),
        (
            lambda: upsample_conv(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 5, 1, 1))),
            r"\(3, 5, 1, 1\); it must be \[K, K, I, O\]",
        ),
    ],
)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


SHARDED = """
import jax, jax.numpy as jnp
from functools import partial
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from wgan_jax.networks.conv import conv, conv_mean_pool, conv_transpose, upsample_conv

assert jax.device_count() == 8
pads = ((1, 1), (1, 1))
keys = jax.random.split(jax.random.key(0), 5)
shapes = (4, 4, 3, 16), (3, 3, 16, 16), (3, 3, 16, 16), (4, 4, 3, 16)
ws = [jax.random.normal(k, s, float) / 9 for k, s in zip(keys, shapes)]
x = jax.random.normal(keys[4], (16, 8, 8, 3), float)

def score(ws, x):
    y = jnp.tanh(conv(x, ws[0], stride=2, padding=pads))
    y = jnp.tanh(upsample_conv(conv_mean_pool(y, ws[1]), ws[2]))
    y = conv_transpose(y, ws[3], stride=2, padding=pads, output_size=(8, 8))
    return jnp.sum(y**2)

def penalty(ws, x):
    slopes = jax.grad(score, 1)(ws, x)
    return jnp.mean((jnp.sqrt(jnp.sum(slopes**2, (1, 2, 3))) - 1) ** 2)

mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
alone = jit(jax.grad(penalty))(ws, x)
step = jit(jax.grad(penalty), in_shardings=(whole, split), out_shardings=whole)
step = step.lower(ws, x).compile()
for a, b in zip(alone, step(ws, x), strict=True):
    assert jnp.abs(a - b).max() < 1e-12 * jnp.abs(a).max()
text = step.as_text()
assert "all-reduce" in text
assert "all-gather" not in text and "all-to-all" not in text
"""


def test_sharded_over_eight_devices_by_reductions_alone():
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_X64": "1",
        "JAX_NUM_CPU_DEVICES": "8",
    }
    run = subprocess.run(
        [sys.executable, "-c", SHARDED],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
