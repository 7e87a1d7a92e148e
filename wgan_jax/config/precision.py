"""Choice of the dtype of layer computations for the available devices."""

import jax

from wgan_jax.config.experiment import ExperimentConfig, with_value
from wgan_jax.networks import onednn_support


def with_dtype(
    config: ExperimentConfig, platform: str | None = None
) -> ExperimentConfig:
    """Returns an experiment whose ``compute_dtype`` is float32 or bfloat16.

    ``auto`` is bfloat16 on accelerators and on a CPU with native bfloat16
    products, and float32 elsewhere. Several CPU devices use float32, because
    the fast products are for one device.

    Args:
        config: an experiment.
        platform: ``cpu``, ``gpu`` or ``tpu``; None for the available devices.
            All accelerators are alike.
    """
    if config.training.compute_dtype != "auto":
        return config
    fast = (platform or jax.default_backend()) != "cpu"
    if not fast:
        fast = jax.device_count() == 1 and onednn_support.is_used("bfloat16")
    dtype = "bfloat16" if fast else "float32"
    return with_value(config, "training.compute_dtype", dtype)
