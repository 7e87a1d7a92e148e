"""Compiler options for the training steps."""

import os
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from wgan_jax.types import Array

_OPTIONS = {
    # The library of CPU kernels, for single matrix products and for reductions. The
    # default also has LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION.
    "cpu": {
        "xla_cpu_experimental_ynn_fusion_type": (
            "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"
        )
    },
    # The commands that XLA records in CUDA graphs by default, plus convolutions.
    "gpu": {
        "xla_gpu_enable_command_buffer": (
            "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,CONVOLUTION"
        )
    },
}


def compiler_options(platform: str) -> dict[str, str]:
    """Returns options for ``jax.jit(..., compiler_options=...)`` on one platform.

    On a CPU, XLA passes stride-1 convolutions to a library that runs each of
    them on one core. The option restricts that library to reductions and matrix
    products, which it runs on all cores. Convolutions then use XLA's own path,
    which also uses all cores.

    On an NVIDIA GPU, XLA records kernels in CUDA graphs, which launch faster,
    but excludes convolutions. A step is then split into hundreds of graphs. If
    convolutions are recorded as well, an iteration takes 0.61 to 0.98 of the
    time (``docs/accelerator.md``).

    Both options are experimental, so each is tested once per process. The test
    compiles a trivial program. On a GPU, it also runs small convolutions and
    compares the results with those without the option. If the compiler does not
    support the option, or the test fails, no options are returned.

    Args:
        platform: platform of the target devices: ``"cpu"``, ``"gpu"`` or
            ``"tpu"``; ``mesh.devices.flat[0].platform``.

    Returns:
        The options by name. Empty if none helps, or if ``XLA_FLAGS`` in the
        environment sets one of them. No global configuration is read or
        changed.
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
            return False  # not tested
        zero = jax.device_put(0.0, device)
        jax.jit(jnp.negative, compiler_options=_OPTIONS[platform])(zero)
        return platform != "gpu" or _records(device, _OPTIONS[platform])
    except (RuntimeError, ValueError):
        return False


def _records(device: jax.Device, options: dict[str, str]) -> bool:
    """Returns whether convolutions and their gradients work when recorded.

    By default, XLA records none because some cuDNN algorithms cannot be
    recorded. The results are compared with those of the same program without
    the options.
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
    """Returns the gradients of two convolutions, one of them strided."""

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
