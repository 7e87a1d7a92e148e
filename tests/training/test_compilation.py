"""Tests of the compiler options, which are used only if they work."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax.training import compilation
from wgan_jax.training.compilation import compiler_options


@pytest.fixture(autouse=True)
def _fresh_cache():
    compilation._is_known.cache_clear()
    yield
    compilation._is_known.cache_clear()


def test_cpu_option_does_not_change_results():
    options = compiler_options("cpu")
    assert options
    x = jnp.arange(12.0).reshape(3, 4)

    def f(x):
        return jnp.sin(x) @ x.T

    with_options = jax.jit(f, compiler_options=options)(x)
    np.testing.assert_allclose(with_options, jax.jit(f)(x), rtol=1e-6)


@pytest.mark.parametrize("platform", ["gpu", "cuda", "tpu"])
def test_missing_platform_has_no_options(platform):
    assert compiler_options(platform) == {}


@pytest.fixture
def graphics(monkeypatch):
    """Replaces the GPU by the CPU; returns its version in a mutable list."""
    cpu = jax.devices("cpu")[0]
    version = ["cuda 12090"]

    class Device:
        @property
        def client(self):
            return SimpleNamespace(platform_version=version[0])

    monkeypatch.setattr(compilation.jax, "local_devices", lambda backend: [Device()])
    monkeypatch.setattr(
        compilation.jax, "device_put", lambda x, _: jnp.array(x, device=cpu)
    )
    return version


def test_gpu_option_records_convolutions(graphics):
    (value,) = compiler_options("gpu").values()
    # This machine's compiler checks the names, as the next test shows.
    assert value.split(",")[-1] == "CONVOLUTION"
    assert "FUSION" in value.split(",")


def test_unknown_kind_disables_the_gpu_option(graphics, monkeypatch):
    unknown = {"xla_gpu_enable_command_buffer": "FUSION,NO_SUCH_KIND"}
    monkeypatch.setitem(compilation._OPTIONS, "gpu", unknown)
    assert compiler_options("gpu") == {}


@pytest.mark.parametrize("fault", ["error", "nan", "other"])
def test_failing_convolutions_disable_the_gpu_option(fault, graphics, monkeypatch):
    plain = jax.jit

    def jit(function, **options):
        compiled = plain(function)
        if (
            "compiler_options" not in options
            or function is not compilation._convolutions
        ):
            return compiled

        def faulty(*inputs):
            if fault == "error":
                raise jax.errors.JaxRuntimeError("INTERNAL: capture is unsupported")
            a, b, c = compiled(*inputs)
            return a, b, c * jnp.nan if fault == "nan" else c + jnp.abs(c).max()

        return faulty

    monkeypatch.setattr(compilation.jax, "jit", jit)
    assert compiler_options("gpu") == {}


def test_rocm_has_no_options(graphics):
    graphics[0] = "rocm 60300"
    assert compiler_options("gpu") == {}


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_xla_flags_take_precedence(platform, graphics, monkeypatch):
    (name,) = compiler_options(platform)
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to= --{name}=")
    assert compiler_options(platform) == {}


def test_unknown_option_is_not_used(monkeypatch):
    unknown = {"xla_no_such_option": "1"}
    monkeypatch.setitem(compilation._OPTIONS, "cpu", unknown)
    assert compiler_options("cpu") == {}


def test_options_are_tried_once(monkeypatch):
    compiler_options("cpu")
    monkeypatch.setattr(compilation.jax, "jit", None)
    assert compiler_options("cpu")


def test_returned_options_are_a_copy():
    compiler_options("cpu").clear()
    assert compiler_options("cpu")
