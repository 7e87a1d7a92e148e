"""Writes moments of 103 examples in batches of 16, on 1 and on 8 virtual devices.

python tests/metrics/moments_devices.py OUT.npz
"""

import sys

import jax

jax.config.update("jax_num_cpu_devices", 8)

import numpy as np  # noqa: E402
from metrics_recipe import large_samples  # noqa: E402

from wgan_jax.metrics import mean_and_covariance, no_moments, update_moments  # noqa: E402
from wgan_jax.parallel.sharding import make_mesh, put_batches  # noqa: E402


def moments(devices):
    mesh, x = make_mesh(jax.devices()[:devices]), large_samples()
    found = no_moments(x.shape[1])
    for start in range(0, len(x), 16):
        rows = x[start : start + 16]
        # The padding of the last batch must not count, whatever its values.
        full = np.full((1, 16, x.shape[1]), np.nan, np.float32)
        full[0, : len(rows)] = rows
        batch = put_batches(mesh, full)[0]
        found = update_moments(found, batch, valid=len(rows))
    assert len(found.scatter.sharding.device_set) == devices
    return mean_and_covariance(found)


if __name__ == "__main__":
    (mean_1, cov_1), (mean_8, cov_8) = moments(1), moments(8)
    np.savez(sys.argv[1], m_1=mean_1, c_1=cov_1, m_8=mean_8, c_8=cov_8)
