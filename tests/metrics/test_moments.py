"""Tests of moments computed in batches and on several devices."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from metrics_recipe import large_samples

from wgan_jax.metrics import (
    mean_and_covariance,
    merge_moments,
    no_moments,
    update_moments,
)

HERE = Path(__file__).parent


def in_batches(x, size):
    moments = no_moments(x.shape[1])
    for start in range(0, len(x), size):
        moments = update_moments(moments, x[start : start + size])
    return moments


@pytest.fixture(scope="module")
def truth():
    x = large_samples().astype(np.float64)
    return x.mean(axis=0), np.cov(x, rowvar=False)


@pytest.mark.parametrize("size", [10, 103])
def test_moments_in_batches_far_from_zero(truth, size):
    moments = in_batches(large_samples(), size)
    assert moments.scatter.dtype == "float64"
    assert jnp.zeros(1).dtype == "float32"
    mean, cov = mean_and_covariance(moments)
    np.testing.assert_allclose(mean, truth[0], rtol=1e-14)
    np.testing.assert_allclose(cov, truth[1], rtol=1e-10, atol=1e-12)
    naive = np.cov(large_samples(), rowvar=False, dtype=np.float32)
    assert np.abs(cov - truth[1]).max() < 1e-3 * np.abs(naive - truth[1]).max()


def test_merged_moments_equal_those_of_the_whole(truth):
    x = large_samples()
    parts = merge_moments(in_batches(x[:40], 40), in_batches(x[40:], 21))
    for moments in (parts, merge_moments(no_moments(5), parts)):
        np.testing.assert_allclose(
            mean_and_covariance(moments)[1], truth[1], rtol=1e-10, atol=1e-12
        )


def test_padding_rows_are_ignored(truth):
    x = np.concatenate([large_samples(), np.full((5, 5), np.nan, np.float32)])
    moments = update_moments(no_moments(5), x, valid=103)
    moments = update_moments(moments, x, valid=0)
    np.testing.assert_allclose(
        mean_and_covariance(moments)[1], truth[1], rtol=1e-10, atol=1e-12
    )


def test_bfloat16_features_are_summed_in_float64():
    x = jax.random.normal(jax.random.key(0), (64, 3), jnp.bfloat16)
    mean, cov = mean_and_covariance(update_moments(no_moments(3), x))
    np.testing.assert_allclose(mean, np.asarray(x, np.float64).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(cov, np.cov(np.asarray(x, np.float64).T), rtol=1e-12)


def test_one_and_eight_devices_agree(truth, tmp_path):
    out = tmp_path / "out.npz"
    script = HERE / "moments_devices.py"
    subprocess.run([sys.executable, str(script), str(out)], check=True)
    found = np.load(out)
    for devices in (1, 8):
        np.testing.assert_allclose(found[f"m_{devices}"], truth[0], rtol=1e-14)
        np.testing.assert_allclose(
            found[f"c_{devices}"], truth[1], rtol=1e-10, atol=1e-12
        )


def test_invalid_arguments_are_rejected():
    moments = no_moments(5)
    with pytest.raises(ValueError, match=r"\[4, 3\]; they must be \[B, 5\]"):
        update_moments(moments, np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"valid is 5; it must be in 0 to 4"):
        update_moments(moments, np.zeros((4, 5)), valid=5)
    with pytest.raises(ValueError, match="5 and of 6 features cannot be merged"):
        merge_moments(moments, no_moments(6))
    with pytest.raises(ValueError, match="at least 2 are needed"):
        mean_and_covariance(moments)
    with pytest.raises(ValueError, match="not all finite"):
        mean_and_covariance(update_moments(moments, np.full((4, 5), np.inf)))
