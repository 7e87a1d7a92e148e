"""oneDNN's calls: the same values, chosen by rule, and left out where they must be."""

import json
import logging
import os
import platform
import subprocess
import sys
import warnings
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_conv import derivatives
from xla_flags import xla_flags

from wgan_jax.networks import conv as closed
from wgan_jax.networks import forms, onednn_forms, onednn_rule, onednn_support
from wgan_jax.networks.conv import conv, conv_transpose
from wgan_jax.networks.geometry import Geometry
from wgan_jax.networks.onednn_trial import _SHAPES
from wgan_jax.networks.product import product

BATCH = 16
there = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="oneDNN's calls are in jaxlib on x86-64"
)
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}


AVX2 = "x86_64\nsome\nfpu avx2"
AVX512 = f"{AVX2} avx512f"
AMX = f"{AVX512} amx_bf16"


def needs(dtype):
    if dtype == "bfloat16" and not onednn_support.gains("bfloat16"):
        pytest.skip("this processor does not multiply bfloat16 itself")


@pytest.fixture
def forced(monkeypatch):
    """oneDNN wherever there is a form, however small; compiled anew."""
    for name in ("SMALLEST", "_LONG"):
        monkeypatch.setattr(onednn_rule, name, 0)
    jax.clear_caches()
    with onednn_support.use("on"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=onednn_support._NOT_CACHED)
        yield
    jax.clear_caches()


def normal(seed, *shape, dtype="float32"):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), dtype)


def error(found, expected):
    found, expected = (np.asarray(x, np.float64) for x in (found, expected))
    return np.abs(found - expected).max() / np.abs(expected).max()


@there
@pytest.mark.parametrize("dtype", onednn_support.DTYPES)
@pytest.mark.parametrize("shape", _SHAPES)
def test_every_form_is_the_map_that_it_states(shape, dtype, forced):
    needs(dtype)
    side, inputs, outputs, k, stride, padding = shape
    geometry = Geometry(stride, (padding, padding), (side, side), (k, k))
    x = normal(0, BATCH, side, side, inputs, dtype=dtype)
    w = normal(1, k, k, inputs, outputs, dtype=dtype)
    g = normal(2, BATCH, *geometry.output, outputs, dtype=dtype)
    tried = 0
    for name, operands in {
        "forward": (x, w),
        "backward": (g, w),
        "kernel": (x, g),
    }.items():
        exact = (a.astype(jnp.float32) for a in operands)
        expected = getattr(forms, name)(*exact, geometry=geometry)
        for form in onednn_forms.FORMS[name]:
            if form.fits(geometry):
                call = jax.jit(partial(form.function, geometry=geometry))
                found = call(*operands)
                assert found.dtype == dtype
                assert error(found, expected) < TOLERANCE[dtype], form.function
                tried += 1
    assert tried >= 2


FORCED = [
    form.function.__name__ for forms_ in onednn_forms.FORMS.values() for form in forms_
]


@there
@pytest.mark.parametrize("name", FORCED)
def test_all_derivatives_with_each_form_forced(name, forced, monkeypatch):
    """Values, gradients, a penalty's gradients and forward modes, as by XLA."""
    function = getattr(onednn_forms, name)
    which = name.split("_")[0]
    fits = {f.function: f.fits for f in onednn_forms.FORMS[which]}[function]
    taken = []

    def choose(asked, dtype, *, geometry, **sizes):
        if asked != which or not fits(geometry):
            return None
        taken.append(geometry)
        return function

    x, w = normal(0, 16, 8, 8, 8), normal(1, 3, 3, 8, 8)
    cases = {
        "dense": (partial(conv, padding=((1, 1), (1, 1))), x, w),
        "strided": (partial(conv, stride=2, padding=((0, 1), (1, 1))), x, w),
        "whole": (partial(conv, padding=((0, 0), (0, 0))), x[:, :3, :3], w),
        "pointwise": (partial(conv, padding=((0, 0), (0, 0))), x, w[:1, :1]),
    }
    for f, a, b in cases.values():
        with onednn_support.use("off"):
            expected = derivatives(f, a, b, a[::-1], b[::-1])
        jax.clear_caches()
        monkeypatch.setattr(onednn_rule, "choose", choose)
        found = derivatives(f, a, b, a[::-1], b[::-1])
        monkeypatch.undo()
        jax.clear_caches()
        jax.tree.map(
            lambda p, q: np.testing.assert_array_less(error(p, q), 5e-5),
            found,
            expected,
        )
    assert taken


@there
def test_products_and_their_derivatives_are_those_of_dot(forced):
    x, w = normal(0, 24, 16), normal(1, 16, 8)

    def by_dot(x, w):
        return jax.lax.dot(x, w)

    found = derivatives(product, x, w, x[::-1], w[::-1])
    expected = derivatives(by_dot, x, w, x[::-1], w[::-1])
    jax.tree.map(
        lambda p, q: np.testing.assert_array_less(error(p, q), 1e-5), found, expected
    )
    text = jax.jit(product).lower(x, w).as_text()
    assert "__onednn$matmul" in text


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (1, 2), (2, 0)])
def test_products_are_batched(axes, forced):
    shapes = [[5, 7], [7, 3]]
    x, w = (
        normal(i, *shape[:axis], 4, *shape[axis:])
        if axis is not None
        else normal(i, *shape)
        for i, (shape, axis) in enumerate(zip(shapes, axes, strict=True))
    )
    found = jax.vmap(product, axes)(x, w)
    expected = jax.vmap(jnp.dot, axes)(x, w)
    assert error(found, expected) < 1e-5


@there
def test_calls_survive_scan_vmap_and_no_jit(forced):
    # With larger weights, the loop would multiply the rounding errors.
    x, w = normal(0, 16, 8, 8, 8), 0.1 * normal(1, 3, 3, 8, 8)
    f = partial(conv, padding=((1, 1), (1, 1)))

    def loop(x):
        return jax.lax.scan(lambda c, _: (jnp.tanh(f(c, w)), None), x, None, length=3)[
            0
        ]

    def both(x):
        return jax.vmap(f, (None, 0))(x, jnp.stack([w, -w]))

    for call in (loop, both):
        found = jax.jit(call)(x)
        assert "__onednn$convolution" in jax.jit(call).lower(x).as_text()
        with jax.disable_jit():
            eager = call(x)
        jax.clear_caches()
        with onednn_support.use("off"):
            expected = jax.jit(call)(x)
        jax.clear_caches()
        assert error(found, expected) < 1e-5
        assert error(eager, expected) < 1e-5


@there
def test_float64_exports_and_other_platforms_do_without(forced):
    x, w = normal(0, 16, 8, 8, 8), normal(1, 3, 3, 8, 8)
    f = jax.jit(partial(conv, padding=((1, 1), (1, 1))))
    assert "__onednn" in f.lower(x, w).as_text()
    assert "__onednn" not in jax.export.export(f)(x, w).mlir_module()
    text = f.trace(x, w).lower(lowering_platforms=("tpu",)).as_text()
    assert "__onednn" not in text
    with jax.enable_x64(True):
        wide = x.astype(np.float64), w.astype(np.float64)
        assert "__onednn" not in f.lower(*wide).as_text()


MESH = """
import jax, jax.numpy as jnp
from functools import partial
from jax.sharding import NamedSharding, PartitionSpec
from wgan_jax.networks.conv import conv
from wgan_jax.parallel.sharding import make_mesh, replicated
mesh = make_mesh()
split = NamedSharding(mesh, PartitionSpec("data"))
x = jax.device_put(jnp.ones((16, 8, 8, 64)), split)
w = jax.device_put(jnp.ones((3, 3, 64, 64)), replicated(mesh))
f = partial(conv, padding=((1, 1), (1, 1)))
text = jax.jit(jax.grad(lambda w, x: f(x, w).sum())).lower(w, x).compile().as_text()
alone = jax.jit(f).lower(jnp.ones((16, 8, 8, 64)), jnp.ones((3, 3, 64, 64))).as_text()
print(mesh.size, "__onednn" in text, "all-gather" in text, "__onednn" in alone)
"""


@there
def test_on_a_mesh_of_devices_nothing_is_gathered():
    done = subprocess.run(
        [sys.executable, "-c", MESH],
        env=os.environ
        | {
            "XLA_FLAGS": xla_flags(2),
            onednn_support.VARIABLE: "on",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split() == ["2", "False", "False", "True"], done.stderr[-2000:]


GEOMETRY = {
    "3x3": Geometry(1, ((1, 1), (1, 1)), (32, 32), (3, 3)),
    "3x3 middle": Geometry(1, ((1, 1), (1, 1)), (16, 16), (3, 3)),
    "3x3 small": Geometry(1, ((1, 1), (1, 1)), (8, 8), (3, 3)),
    "4x4 strided": Geometry(2, ((1, 1), (1, 1)), (32, 32), (4, 4)),
    "4x4 strided small": Geometry(2, ((1, 1), (1, 1)), (8, 8), (4, 4)),
    "1x1": Geometry(1, ((0, 0), (0, 0)), (32, 32), (1, 1)),
    "whole": Geometry(1, ((0, 0), (0, 0)), (4, 4), (4, 4)),
}


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs", "float32", "bfloat16"),
    [
        ("3x3", 64, 64, "convolution convolution -", "convolution convolution windows"),
        ("3x3", 64, 3, "- convolution -", "convolution convolution -"),
        ("3x3", 3, 64, "convolution - -", "convolution convolution -"),
        (
            "3x3 middle",
            64,
            64,
            "convolution convolution -",
            "convolution convolution windows",
        ),
        ("3x3 small", 64, 64, *["convolution convolution convolution"] * 2),
        (
            "4x4 strided",
            64,
            64,
            "convolution phases -",
            "convolution joined convolution",
        ),
        (
            "4x4 strided small",
            128,
            256,
            "- phases convolution",
            "convolution phases convolution",
        ),
        ("1x1", 64, 64, *["product product product"] * 2),
        ("whole", 256, 64, "product - -", "product product product"),
    ],
)
def test_the_rule_takes_the_form_that_was_fastest(
    shape, inputs, outputs, float32, bfloat16
):
    for dtype, expected in (("float32", float32), ("bfloat16", bfloat16)):
        found = []
        for name in ("forward", "backward", "kernel"):
            form = onednn_rule.choose(
                name,
                dtype,
                geometry=GEOMETRY[shape],
                batch=64,
                inputs=inputs,
                outputs=outputs,
            )
            found.append("-" if form is None else form.__name__.split("_")[1])
        assert " ".join(found) == expected, dtype


def test_small_maps_and_small_batches_in_bfloat16_are_left_to_xla():
    sizes = {"geometry": GEOMETRY["3x3 small"], "inputs": 8, "outputs": 8}
    assert onednn_rule.choose("forward", "float32", batch=8, **sizes) is None
    sizes = {"geometry": GEOMETRY["3x3"], "inputs": 64, "outputs": 64}
    assert onednn_rule.choose("kernel", "bfloat16", batch=8, **sizes) is None
    assert onednn_rule.choose("forward", "bfloat16", batch=8, **sizes) is not None


def test_products_in_float32_are_those_that_xla_is_slow_at():
    takes = partial(onednn_rule.takes_product, "float32")
    assert not takes(33_554_432, inner=512, transposed=False)
    assert not takes(33_554_432, inner=128, transposed=True)
    assert takes(67_108_864, inner=256, transposed=True)
    assert takes(16_777_216, inner=4_096, transposed=False)
    assert not takes(1_000_000, inner=4_096, transposed=False)
    assert onednn_rule.takes_product(
        "bfloat16", 16_777_216, inner=512, transposed=False
    )


@pytest.fixture
def no_answer(tmp_path, monkeypatch):
    """A machine that has not been asked yet, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(onednn_support.VARIABLE, raising=False)
    monkeypatch.setattr(onednn_support.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(onednn_support, "processor", lambda: AMX)
    onednn_support._found.cache_clear()
    yield tmp_path
    onednn_support._found.cache_clear()


def answers(monkeypatch, *, code=0, out="", error=None):
    """Lets the process of the trial end so; the calls that were made."""
    calls = []

    def run(command, **options):
        calls.append(command)
        if error is not None:
            raise error
        return SimpleNamespace(returncode=code, stdout=out, stderr="")

    monkeypatch.setattr(onednn_support.subprocess, "run", run)
    return calls


RIGHT = '{"float32": "right"}\n{"bfloat16": "right"}'


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"code": -6}, "the trial exited with status -6."),
        ({"out": "noise"}, "the trial printed no result."),
        (
            {"error": subprocess.TimeoutExpired("x", 1)},
            "not finish (TimeoutExpired).",
        ),
        (
            {"out": '{"float32": "wrong by 1.0e+00"}\n{"bfloat16": "right"}'},
            "wrong by 1.0e+00.",
        ),
    ],
)
def test_a_trial_that_fails_is_one_line_and_float32_goes_on(
    answer, says, no_answer, monkeypatch, caplog
):
    calls = answers(monkeypatch, **answer)
    monkeypatch.setattr(onednn_support, "processor", lambda: AVX512)
    with caplog.at_level(logging.WARNING):
        assert not onednn_support.is_used("float32")
        assert not onednn_support.is_used("float32")
    (record,) = caplog.records
    assert record.getMessage().startswith("oneDNN's float32 kernels are not used: ")
    assert says in record.getMessage()
    assert len(calls) == 1
    x, w = normal(0, 16, 8, 8, 8), normal(1, 3, 3, 8, 8)
    jax.clear_caches()
    assert (
        "__onednn"
        not in jax.jit(partial(conv, padding=((1, 1),) * 2)).lower(x, w).as_text()
    )
    jax.clear_caches()


def test_an_answer_is_kept_for_this_jaxlib_and_processor(no_answer, monkeypatch):
    calls = answers(monkeypatch, out=f"chatter\n{RIGHT}")
    assert onednn_support.is_used("bfloat16")
    onednn_support._found.cache_clear()
    assert onednn_support.is_used("float32")
    assert len(calls) == 1
    (kept,) = (no_answer / "wgan_jax").iterdir()
    kept.write_text("damaged")
    onednn_support._found.cache_clear()
    assert onednn_support.is_used("float32")
    assert len(calls) == 2
    monkeypatch.setattr(onednn_support, "processor", lambda: f"another {AMX}")
    onednn_support._found.cache_clear()
    assert onednn_support.is_used("float32")
    assert len(calls) == 3
    assert json.loads(kept.read_text())["results"] == {
        "float32": "right",
        "bfloat16": "right",
    }


@pytest.mark.parametrize(
    ("processor", "asked"),
    [
        (AVX2, None),  # XLA is as fast there, and oneDNN rejects bfloat16
        (AVX512, ["float32"]),
        (AMX, ["float32", "bfloat16"]),
        ("AMD64\n\n", ["float32"]),  # flags unknown
    ],
)
def test_only_dtypes_that_gain_from_it_are_tried(
    processor, asked, no_answer, monkeypatch
):
    calls = answers(monkeypatch, out=RIGHT)
    monkeypatch.setattr(onednn_support, "processor", lambda: processor)
    for dtype in onednn_support.DTYPES:
        assert onednn_support.is_used(dtype) == (dtype in (asked or []))
    assert [command[3:] for command in calls] == ([asked] if asked else [])


def test_a_crash_in_bfloat16_leaves_float32(no_answer, monkeypatch, caplog):
    answers(monkeypatch, code=-4, out='{"float32": "right"}\n')
    with caplog.at_level(logging.WARNING):
        assert onednn_support.is_used("float32")
        assert not onednn_support.is_used("bfloat16")
    (record,) = caplog.records
    assert "bfloat16 kernels are not used: the trial exited with" in record.getMessage()


@there
def test_the_trial_of_this_machine_finds_float32_right():
    assert onednn_support.trial(["float32"]) == {"float32": "right"}


def test_modes_force_either_way(no_answer, monkeypatch):
    calls = answers(monkeypatch, out=RIGHT)
    with onednn_support.use("off"):
        assert not onednn_support.is_used("float32")
    with onednn_support.use("on"):
        assert onednn_support.is_used("bfloat16")
        assert not onednn_support.is_used("float64")
    monkeypatch.setenv(onednn_support.VARIABLE, "off")
    assert not onednn_support.is_used("float32")
    assert not calls
    with (
        pytest.raises(ValueError, match="use is 'maybe'"),
        onednn_support.use("maybe"),
    ):
        pass
    monkeypatch.setenv(onednn_support.VARIABLE, "yes")
    with pytest.raises(ValueError, match="WGAN_JAX_ONEDNN is 'yes'"):
        onednn_support.mode()


def test_another_architecture_is_not_asked(no_answer, monkeypatch):
    calls = answers(monkeypatch, out=RIGHT)
    monkeypatch.setattr(onednn_support.platform, "machine", lambda: "aarch64")
    assert not onednn_support.is_used("float32")
    assert not calls


def test_the_three_maps_are_still_primitives_of_their_own():
    assert {p.name for p in (closed.FORWARD, closed.BACKWARD, closed.KERNEL)} == {
        "wgan_jax_conv",
        "wgan_jax_conv_backward",
        "wgan_jax_conv_kernel",
    }
    with pytest.raises(ValueError, match="product: "):
        product(jnp.ones((2, 3)), jnp.ones((2, 3)))
    assert conv_transpose is closed.conv_transpose
