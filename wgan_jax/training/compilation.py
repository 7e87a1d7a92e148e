"""Compiler options that pay for a step's convolutions and products."""

import os
from functools import cache

import jax
import jax.numpy as jnp

_OPTIONS = {
    # XLA's library of CPU kernels, for single products and for sums; left out is
    # LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION, which the default has too.
    "cpu": {
        "xla_cpu_experimental_ynn_fusion_type": (
            "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
        )
    },
    # What XLA records in CUDA graphs by default, and convolutions.
    "gpu": {
        "xla_gpu_enable_command_buffer": (
            "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,CONVOLUTION"
        )
    },
}


def compiler_options(platform: str) -> dict[str, str]:
    """Options for ``jax.jit(..., compiler_options=...)`` on one platform.

    XLA's CPU backend gives stride-1 convolutions to a library that runs each on
    one core. Restricting that library to sums and matrix products, which it runs
    on all cores, leaves convolutions on the path that uses all of them too.

    On an NVIDIA GPU XLA records kernels in CUDA graphs, which start faster, but no
    convolutions, so that a step falls into hundreds of pieces. With them recorded
    too an iteration takes 0.61 to 0.98 of the time (``docs/accelerator.md``).

    Both options are experimental, so each is tried once on a trivial program; a
    compiler that does not know it gets none.

    Args:
        platform: of the devices the program is for: ``"cpu"``, ``"gpu"``,
            ``"tpu"``; ``mesh.devices.flat[0].platform``.

    Returns:
        The options by name, empty where none helps or where ``XLA_FLAGS`` in the
        environment says otherwise. No global configuration is read or changed.
    """
    options = _OPTIONS.get(platform, {})
    chosen = os.environ.get("XLA_FLAGS", "")
    if not options or any(name in chosen for name in options):
        return {}
    return dict(options) if _is_known(platform) else {}


@cache
def _is_known(platform: str) -> bool:
    try:
        (device, *_) = jax.local_devices(backend=platform)
        if "rocm" in device.client.platform_version:
            return False  # nobody has tried
        zero = jax.device_put(0.0, device)
        jax.jit(jnp.negative, compiler_options=_OPTIONS[platform])(zero)
    except (RuntimeError, ValueError):
        return False
    return True
