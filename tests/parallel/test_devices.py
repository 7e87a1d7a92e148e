"""Tests that 1, 2 and 8 virtual devices give the same run.

With float32, Adam turns rounding errors into full steps where the true gradient is
zero (biases before batch norm). Updates and parameters are therefore compared in
float64, and losses and gradients in float32.
"""

import functools
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from wgan_jax.parallel.sharding import check_divisible, make_mesh

SCRIPT = Path(__file__).with_name("device_run.py")


def run(devices, dtype, method, folder):
    out = folder / f"{devices}_{dtype}_{method}.npz"
    subprocess.run(
        [sys.executable, SCRIPT, str(devices), dtype, method, out],
        check=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])},
    )
    with np.load(out) as arrays:
        return dict(arrays)


CASES = [
    pytest.param(2, "float32", "plain", marks=pytest.mark.slow),
    (8, "float32", "plain"),
    (2, "float64", "plain"),
    (8, "float64", "plain"),
    (8, "float64", "in_one_call"),
    (8, "float64", "zero1"),
    pytest.param(8, "float64", "full", marks=pytest.mark.slow),  # 80 seconds
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Returns a function that returns the results of a run, cached."""
    folder = tmp_path_factory.mktemp("devices")
    return functools.cache(lambda *case: run(*case, folder))


@pytest.mark.parametrize(("devices", "dtype", "method"), CASES)
def test_devices_agree(found, devices, dtype, method):
    one, many = found(1, dtype, method), found(devices, dtype, method)
    assert one.keys() == many.keys()
    assert any(name.startswith("param") for name in one)
    for name, value in one.items():
        assert value.dtype == np.dtype(dtype), name
        if dtype == "float64":
            np.testing.assert_allclose(many[name], value, rtol=1e-9, atol=1e-9)
        elif name.startswith("metric") and not name.endswith("update_norm"):
            np.testing.assert_allclose(many[name], value, rtol=1e-5, err_msg=name)


def test_indivisible_batch_is_rejected():
    class Eight:
        size = 8

    with pytest.raises(
        ValueError, match="batch_size is 20, which is not divisible by 8"
    ):
        check_divisible(Eight(), batch_size=20)
    with pytest.raises(ValueError, match="Use 16 or 24"):
        check_divisible(Eight(), batch_size=20)
    check_divisible(Eight(), batch_size=24)
    assert make_mesh(jax.devices()[:1]).axis_names == ("data",)
