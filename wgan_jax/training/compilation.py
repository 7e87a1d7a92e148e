"""Compiler options for the training steps."""

import os
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.types import Array

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

    Both options are experimental, so each is tried once in a process: on a trivial
    program, on a GPU also on small convolutions, whose results are compared with
    those without it. A compiler that does not know it, or fails, gets none.

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
        return platform != "gpu" or _records(device, _OPTIONS[platform])
    except (RuntimeError, ValueError):
        return False


def _records(device: jax.Device, options: dict[str, str]) -> bool:
    """Whether convolutions and their gradients survive being recorded on a device.

    XLA records none by default because some of cuDNN's algorithms cannot be. The
    results are compared with those of the same program without the options.
    """
    draw = np.random.default_rng(0).standard_normal
    arrays = [draw((16, 8, 8, 16)), draw((3, 3, 16, 16)), draw((4, 4, 16, 16))]
    for dtype, tolerance in ((jnp.float32, 1e-2), (jnp.bfloat16, 5e-2)):
        inputs = [jax.device_put(x.astype(dtype), device) for x in arrays]
        plain = jax.jit(_convolutions)(*inputs)
        recorded = jax.jit(_convolutions, compiler_options=options)
        for _ in range(3):  # a graph is recorded once, then replayed
            found = recorded(*inputs)
        for a, b in zip(found, plain, strict=True):
            a, b = (np.asarray(x, np.float32) for x in (a, b))
            if not np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b):
                return False
    return True


def _convolutions(x: Array, w: Array, v: Array) -> tuple[Array, ...]:
    """The gradients of two convolutions, one of them strided."""

    def loss(x: Array, w: Array, v: Array) -> Array:
        for kernel, stride in ((w, 1), (v, 2)):
            x = jax.lax.conv_general_dilated(
                jnp.tanh(x / 8),
                kernel,
                (stride, stride),
                "SAME",
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        return jnp.mean(jnp.square(x.astype(jnp.float32)))

    return jax.grad(loss, (0, 1, 2))(x, w, v)
