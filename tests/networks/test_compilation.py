"""The guarded compiler option."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wgan_jax import compilation
from wgan_jax.compilation import compiler_options


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
def test_accelerators_get_none(platform):
    assert compiler_options(platform) == {}


def test_a_compiler_that_does_not_know_it_gets_none(monkeypatch):
    unknown = {"xla_no_such_option": "1"}
    monkeypatch.setattr(compilation, "_THREADED_CONVOLUTIONS", unknown)
    assert compiler_options("cpu") == {}


def test_it_is_tried_once(monkeypatch):
    compiler_options("cpu")
    monkeypatch.setattr(compilation.jax, "jit", None)
    assert compiler_options("cpu")


def test_no_caller_can_change_it_for_the_others():
    compiler_options("cpu").clear()
    assert compiler_options("cpu")
