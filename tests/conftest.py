"""Strict numerics, a shared compilation cache, and common fixtures."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
ROOT = Path(__file__).parents[1]
CACHE = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))

from xla_flags import xla_flags  # noqa: E402

if "xla_backend_optimization_level" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {xla_flags()}".strip()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import pytest  # noqa: E402
from slow_tests import is_slow  # noqa: E402
from tiny import tiny_gan  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", CACHE)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture
def gan():
    return tiny_gan()


@pytest.fixture
def key():
    return jax.random.key(7)


@pytest.fixture
def images(key):
    """Returns N = 3 batches of B = 8 uint8 images."""
    bits = jax.random.bits(jax.random.fold_in(key, 99), (3, 8, 4, 4, 1), jnp.uint8)
    return bits


def pytest_collection_modifyitems(items):
    for item in items:
        case = item.callspec.id if hasattr(item, "callspec") else ""
        path = item.path.relative_to(ROOT).as_posix()
        if is_slow(path, item.originalname, case, item.fixturenames):
            item.add_marker(pytest.mark.slow)
