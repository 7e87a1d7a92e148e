"""Availability of the compilers for unavailable devices."""

import importlib.util

import pytest

MODULES = {
    "v5e": ("libtpu",),
    "h100": ("jax_plugins.xla_cuda12", "nvidia.cuda_nvcc"),
}


def require_compiler(topology):
    """Skips the test if there is no compiler for a topology such as ``h100:8``."""
    if not all(map(_is_there, MODULES[topology.partition(":")[0]])):
        pytest.skip(f"no compiler for {topology}: pip install 'wgan-jax[plan]'")


def _is_there(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
