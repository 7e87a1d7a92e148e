"""The guarded compiler options."""

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


def test_the_option_compiles_and_changes_no_value():
    options = compiler_options("cpu")
    assert options
    x = jnp.arange(12.0).reshape(3, 4)

    def f(x):
        return jnp.sin(x) @ x.T

    with_options = jax.jit(f, compiler_options=options)(x)
    np.testing.assert_allclose(with_options, jax.jit(f)(x), rtol=1e-6)


@pytest.mark.parametrize("platform", ["gpu", "cuda", "tpu"])
def test_a_platform_that_is_not_there_gets_none(platform):
    assert compiler_options(platform) == {}


@pytest.fixture
def graphics(monkeypatch):
    """The CPU in the place of a GPU, whose version can be set."""
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


def test_convolutions_are_recorded_on_a_gpu(graphics):
    (value,) = compiler_options("gpu").values()
    # The names are checked by this machine's own compiler, see the next test.
    assert value.split(",")[-1] == "CONVOLUTION"
    assert "FUSION" in value.split(",")


def test_a_name_that_the_compiler_does_not_know_leaves_xlas_own_choice(
    graphics, monkeypatch
):
    unknown = {"xla_gpu_enable_command_buffer": "FUSION,NO_SUCH_KIND"}
    monkeypatch.setitem(compilation._OPTIONS, "gpu", unknown)
    assert compiler_options("gpu") == {}


@pytest.mark.parametrize("fault", ["error", "nan", "other"])
def test_convolutions_that_fail_when_recorded_leave_xlas_own_choice(
    fault, graphics, monkeypatch
):
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


def test_amds_gpus_get_none(graphics):
    graphics[0] = "rocm 60300"
    assert compiler_options("gpu") == {}


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_the_environments_choice_counts(platform, graphics, monkeypatch):
    (name,) = compiler_options(platform)
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to= --{name}=")
    assert compiler_options(platform) == {}


def test_a_compiler_that_does_not_know_it_gets_none(monkeypatch):
    unknown = {"xla_no_such_option": "1"}
    monkeypatch.setitem(compilation._OPTIONS, "cpu", unknown)
    assert compiler_options("cpu") == {}


def test_it_is_tried_once(monkeypatch):
    compiler_options("cpu")
    monkeypatch.setattr(compilation.jax, "jit", None)
    assert compiler_options("cpu")


def test_no_caller_can_change_it_for_the_others():
    compiler_options("cpu").clear()
    assert compiler_options("cpu")
